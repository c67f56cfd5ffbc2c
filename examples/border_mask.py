"""A kind of video mask: the tubes nearest to the border of the frame are masked, the same in all slots.

python -m simvtp.run --plugin examples/border_mask.py --set mask.kind=border
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simvtp.config.plugins import register_mask
from simvtp.config.schema import Mask, Model
from simvtp.config.tube_counts import units_masked

if TYPE_CHECKING:
    import torch

    from simvtp.models.masking import VideoMask


def count(model: Model, mask: Mask) -> int:
    """Masked tubes of a clip: mask.video of the cells, in every slot."""
    return model.slots * units_masked(mask.video, model.cells)


@register_mask("border", count=count)
def border(batch: int, model: Model, mask: Mask, generator: torch.Generator) -> VideoMask:
    """Cells by their distance to the border; which of two that are as near is drawn for each clip."""
    import torch

    from simvtp.models.masking import VideoMask

    side = model.size // model.patch
    place = torch.arange(side)
    near = torch.minimum(place, side - 1 - place)
    distance = torch.minimum(near[:, None], near[None, :]).flatten()
    order = (distance + torch.rand(batch, model.cells, generator=generator)).argsort(dim=1)
    cells = order[:, : units_masked(mask.video, model.cells)]
    slots = torch.arange(model.slots) * model.cells
    return VideoMask.hiding((cells[:, None, :] + slots[None, :, None]).flatten(1), model.tubes)
