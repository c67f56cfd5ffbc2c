"""An objective of pre-training: predict features of masked tubes instead of their pixels (MaskFeat, Wei et al. 2022).

    python -m simvtp.run --plugin examples/masked_features.py --set objective.features=1
    python sweeps/run.py examples/masked_features_study.py --plugin examples/masked_features.py

The target is a histogram of oriented gradients of each tube; torch is imported inside functions, so that planning a
sweep stays fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simvtp.config.fields import setting
from simvtp.config.plugins import PretrainObjective, register_objective
from simvtp.config.tube_counts import tubes_decoded, tubes_masked
from simvtp.models.flops import transformer_flop

if TYPE_CHECKING:
    from torch import Tensor, nn

    from simvtp.config.schema import Config, Model
    from simvtp.models.objectives import Step


@register_objective("features")
@dataclass(frozen=True)
class MaskedFeatures(PretrainObjective):
    """weight of masked feature prediction; 0: off"""

    bins: int = setting("orientations of the histogram that masked feature prediction predicts", 9, within="[2, 64]")

    passes = ("joint",)  # of the encoder: visible tubes and words as one sequence

    def head(self, config: Config) -> nn.Module:
        """The decoder of MVM, whose last layer gives histograms instead of pixels."""
        from torch import nn

        from simvtp.models.simvtp import PixelDecoder

        decoder = PixelDecoder(config.model)
        decoder.head = nn.Linear(config.model.decoder_width, 3 * self.bins)
        return decoder

    def loss(self, head: nn.Module | None, step: Step) -> Tensor:
        """Mean squared error of the histograms of masked tubes."""
        from simvtp.models.embeddings import gather_rows
        from simvtp.models.objectives import masked_video_loss

        assert head is not None
        mask = step.batch.video_mask
        visible = step.passes["joint"].tokens[:, : mask.visible.shape[1]]
        predicted = head(visible, mask.visible, mask.masked)
        targets = histograms(gather_rows(step.tubes, mask.masked), step.config.model, self.bins)
        return masked_video_loss(predicted, targets)

    def flop(self, config: Config) -> float:
        """As MVM: into the decoder's width, its layers, and its last layer; the targets cost next to nothing."""
        model = config.model
        seen = model.tubes - tubes_masked(model, config.mask)
        decoded = tubes_decoded(model, config.mask)
        flop = 2.0 * seen * model.width * model.decoder_width
        flop += transformer_flop(seen + decoded, model.decoder_width, model.decoder_depth)
        return flop + 2.0 * decoded * model.decoder_width * 3 * self.bins


def histograms(tubes: Tensor, model: Model, bins: int) -> Tensor:
    """Oriented gradients of tubes: uint8 [B, M, P] -> float [B, M, 3 * bins], unit length in every colour channel."""
    import torch
    from torch.nn import functional

    pixels = tubes.unflatten(2, (3, model.tube_frames, model.patch, model.patch)).float() / 255
    down, right = (pixels.diff(dim=axis)[..., : model.patch - 1, : model.patch - 1] for axis in (4, 5))
    angle = torch.atan2(down, right) % torch.pi  # of an edge, whichever side is brighter
    bin_of = (angle * (bins / torch.pi)).long().clamp(max=bins - 1).flatten(3)
    strength = (down.square() + right.square()).sqrt().flatten(3)
    found = strength.new_zeros((*strength.shape[:3], bins)).scatter_add_(3, bin_of, strength)
    return functional.normalize(found, dim=3).flatten(2)
