"""An evaluator: how the features of a test gallery lie (alignment and uniformity, Wang and Isola 2020).

    python -m simvtp.run --plugin examples/spread_evaluator.py --set evaluate.spread=true

result.json then holds evaluators.spread.alignment and .uniformity; lower is better for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from simvtp.config.fields import setting
from simvtp.config.plugins import register_evaluator

if TYPE_CHECKING:
    from simvtp.evaluation.evaluator import EncodedGallery


@register_evaluator("spread")
@dataclass(frozen=True)
class Spread:
    """also measure alignment and uniformity of the test features"""

    scale: float = setting("scale of the Gaussian kernel of uniformity", 2.0, within="(0, inf)")

    def __call__(self, gallery: EncodedGallery) -> dict[str, float]:
        there = [video not in gallery.absent for video in gallery.owner]
        own = gallery.videos[list(gallery.owner)]
        distance = np.square(own - gallery.captions).sum(axis=1)[there]
        whole = np.concatenate((gallery.videos, gallery.captions))
        apart = 2 - 2 * (whole @ whole.T)[np.triu_indices(len(whole), k=1)]
        return {"alignment": distance.mean(), "uniformity": np.log(np.exp(-self.scale * apart).mean())}
