"""The paper's published figures, only those that were verified, and the rows of ours that they correspond to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simvtp.config.presets import preset
from simvtp.config.schema import FIELDS, completed, flatten

LABEL = "paper: MSR-VTT 1k-A, WebVid-2M, ViT-B"
SOURCE = "SimVTP, arXiv 2212.03490, text-to-video retrieval on MSR-VTT 1k-A after pre-training on WebVid-2M"
CAUTION = "another corpus and scale: compare directions, not levels"


@dataclass(frozen=True)
class Published:
    """Text-to-video, percent (MdR: rank); only what was published and verified."""

    fraction: float
    metrics: Mapping[str, float]


PUBLISHED = (
    Published(1.0, {"R@1": 53.6, "R@5": 82.8, "R@10": 90.8, "MdR": 1.0}),
    Published(0.1, {"R@1": 43.8}),
)

# What the published rows have in common: the method at the paper's best point, which preset `base` is.
_SETTING = {
    key: value
    for key, value in flatten(preset("base")).items()
    if FIELDS[key].section in ("mask", "objective") or key == "model.towers"
}
# What the published rows differ in; a row of ours that departs from its base in more is none of them.
VARIED = frozenset({"data.fraction"})


def published(config: Mapping[str, Any]) -> Published | None:
    """The published figures of a flat config's setting; None where the paper has none that was verified."""
    config = completed(config)
    if any(config.get(key) != value for key, value in _SETTING.items()):
        return None
    if str(config.get("pretrain.length", "")).startswith("0 "):
        return None
    return next((row for row in PUBLISHED if row.fraction == config.get("data.fraction")), None)
