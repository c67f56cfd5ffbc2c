"""Baselines of masked video modelling (MVM): predictions of masked tubes without a learned representation.

Shapes: B clips, V visible and M masked tubes of P normalised pixel values each (`pixel_targets`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from simvtp.config.schema import Model
from simvtp.evaluation.ridge_baselines import solved
from simvtp.models.embeddings import gather_rows
from simvtp.models.masking import VideoMask
from simvtp.models.objectives import pixel_targets

PENALTY = 10.0  # of the linear map, see `solved`


@dataclass(frozen=True)
class FittedVideo:
    """What is fitted to normalised tubes of training clips.

    model: the grid of tubes. mean: for each position, [tubes, P]. linear: from a tube's left neighbour, [P, P].
    """

    model: Model
    mean: Tensor
    linear: Tensor

    @classmethod
    def of(cls, batches: Iterable[Tensor], model: Model) -> FittedVideo | None:
        """From batches of normalised tubes [N, tubes, P]; None if there is none."""
        right = torch.tensor([tube for tube in range(model.tubes) if tube % model.grid[2]], dtype=torch.int64)
        count, total, gram, cross = 0, *torch.zeros(3)
        for tubes in batches:
            left, own = tubes[:, right - 1].flatten(0, 1), tubes[:, right].flatten(0, 1)
            count, total = count + len(tubes), total + tubes.sum(dim=0)
            gram, cross = gram + left.T @ left, cross + left.T @ own
        return cls(model, total / count, solved(gram, cross, PENALTY)) if count else None

    def from_left(self, tubes: Tensor, ids: Tensor) -> Tensor:
        """Normalised pixels [B, M, P] of tubes by the linear map from their left neighbours, visible or not.

        tubes: uint8 [B, tubes, P]. ids: int64 [B, M]. Tubes of the first column get the mean of their position.
        """
        given = pixel_targets(gather_rows(tubes, (ids - 1).clamp(min=0)))
        with torch.autocast(tubes.device.type, enabled=False):  # a baseline is not rounded to bf16
            found = given @ self.linear
        has_left = (ids % self.model.grid[2] > 0).unsqueeze(2)
        return torch.where(has_left, found, self.mean[ids])


def nearest_visible(mask: VideoMask, model: Model) -> Tensor:
    """For each masked tube the nearest visible one, int64 [B, M]; a tube of its own slot before any other."""
    grid = torch.stack(torch.meshgrid(*(torch.arange(side) for side in model.grid), indexing="ij"), dim=3)
    places = grid.flatten(0, 2).float() * torch.tensor([float(sum(model.grid)), 1.0, 1.0])
    places = places.to(mask.visible.device)
    chosen = torch.cdist(places[mask.masked], places[mask.visible]).argmin(dim=2)
    return mask.visible.gather(1, chosen)


def oracle(tubes: Tensor, clean: Tensor, ids: Tensor) -> Tensor:
    """The best prediction from the clip without noise, [B, M, P]: its pixels, normalised by the variance with noise.

    tubes, clean: uint8 [B, tubes, P], with and without noise. ids: of the predicted tubes, int64 [B, M]. The variance
    of the noise is that of the difference, so it includes what the codec adds.
    """
    noise = (tubes.float() - clean.float()).square().mean()
    pixels = gather_rows(clean, ids).unflatten(2, (3, -1)).float()
    centred = pixels - pixels.mean(dim=3, keepdim=True)
    return (centred / (pixels.var(dim=3, keepdim=True) + noise + 1e-12).sqrt()).flatten(2)
