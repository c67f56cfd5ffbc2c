"""Masks of video tubes and of words, as index tensors (SimVTP section 3.2).

Masks are drawn on the CPU from a seeded generator, so that a run sees the same masks on every device, and travel to
the device as indices: nothing on the device has a shape that depends on data.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from simvtp.config.schema import Mask, Model
from simvtp.config.tube_counts import tubes_decoded, units_masked


@dataclass(frozen=True)
class VideoMask:
    """visible: int64 [B, V]; masked: int64 [B, M], those that are decoded; each row ascending. V + M = tubes where all
    masked tubes are decoded."""

    visible: Tensor
    masked: Tensor

    def to(self, device: torch.device) -> VideoMask:
        return VideoMask(self.visible.to(device, non_blocking=True), self.masked.to(device, non_blocking=True))

    def rows(self, own: slice) -> VideoMask:
        """The masks of some of the clips."""
        return VideoMask(self.visible[own], self.masked[own])


@dataclass(frozen=True)
class TextMask:
    """words: int64 [B, L], the caption with [MASK] at masked words; positions: int64 [K], indices of the masked
    words in the flattened [B * L]; targets: int64 [K], the ids that stood there. K may be 0."""

    words: Tensor
    positions: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> TextMask:
        parts = (self.words, self.positions, self.targets)
        return TextMask(*(part.to(device, non_blocking=True) for part in parts))

    def rows(self, own: slice) -> TextMask:
        """The masks of some of the captions; positions count from the first of them."""
        length = self.words.shape[1]
        first, last = own.start * length, own.stop * length
        mine = (self.positions >= first) & (self.positions < last)
        return TextMask(self.words[own], self.positions[mine] - first, self.targets[mine])

    def clean(self) -> Tensor:
        """int64 [B, L]: the captions without the mask."""
        return self.words.flatten().scatter(0, self.positions, self.targets).view(self.words.shape)


@dataclass(frozen=True)
class DroppedText:
    """A text mask whose masked words leave the caption, each row packed to its left.

    kept: int64 [B, K], places of the words that stay; kept_present: bool [B, K], False where a row has fewer; asked,
    asked_present: [B, M], the same of masked words; places: int64 [masked words], where in the flattened [B * M].
    """

    kept: Tensor
    kept_present: Tensor
    asked: Tensor
    asked_present: Tensor
    places: Tensor

    def to(self, device: torch.device) -> DroppedText:
        parts = (self.kept, self.kept_present, self.asked, self.asked_present, self.places)
        return DroppedText(*(part.to(device, non_blocking=True) for part in parts))


def drop_masked(mask: TextMask, present: Tensor) -> DroppedText:
    """present: bool [B, L], False at [PAD]; on the CPU, since the shapes depend on the masks."""
    hidden = torch.zeros(present.numel(), dtype=torch.bool)
    hidden[mask.positions] = True
    hidden = hidden.view(present.shape)
    kept, kept_present = _pack(present & ~hidden)
    asked, asked_present = _pack(hidden)
    return DroppedText(kept, kept_present, asked, asked_present, asked_present.flatten().nonzero().squeeze(1))


def _pack(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """bool [B, L] -> places of the chosen, ascending, and whether a place is one: [B, most of any row]."""
    places = (~chosen).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(chosen.sum(dim=1).max())]
    return places, chosen.gather(1, places)


def draw_video_mask(batch: int, model: Model, mask: Mask, generator: torch.Generator) -> VideoMask:
    """One mask a clip. Tube t of a clip is tube t % places of slot t // places.

    tube: one spatial mask for all slots; frame: whole slots; random: any tubes.
    """
    if mask.kind == "tube":
        hidden, shown = _choose(batch, model.places, units_masked(mask.video, model.places), generator)
        offsets = torch.arange(model.slots).mul(model.places).view(1, -1, 1)
        visible, masked = ((part.unsqueeze(1) + offsets).flatten(1) for part in (shown, hidden))
    elif mask.kind == "frame":
        hidden, shown = _choose(batch, model.slots, units_masked(mask.video, model.slots), generator)
        places = torch.arange(model.places).view(1, 1, -1)
        visible, masked = ((part.unsqueeze(2) * model.places + places).flatten(1) for part in (shown, hidden))
    else:
        masked, visible = _choose(batch, model.tubes, units_masked(mask.video, model.tubes), generator)
    return VideoMask(visible=visible, masked=masked)


def decoded_part(drawn: VideoMask, model: Model, mask: Mask, generator: torch.Generator) -> VideoMask:
    """The same mask with only the masked tubes that are decoded (VideoMAE V2, section 3.2: running cells).

    The four places of every 2 x 2 cell take turns: a place that is decoded at one slot makes room at the next, so the
    share is even over space and time. Each clip starts at a random turn.
    """
    if mask.decoded == 1:
        return drawn
    side = model.size // model.patch
    turn = torch.tensor([[0, 1], [3, 2]])  # once round the cell
    place, slot = drawn.masked % model.places, drawn.masked // model.places
    start = torch.randint(4, (len(drawn.masked), 1), generator=generator)
    wait = (turn[place // side % 2, place % side % 2] + slot + start) % 4
    chosen = wait.argsort(dim=1, stable=True)[:, : tubes_decoded(model, mask)].sort(dim=1).values
    return VideoMask(drawn.visible, drawn.masked.gather(1, chosen))


def _choose(batch: int, units: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """[B, count] chosen units and [B, units - count] others, uniformly, each row ascending."""
    order = torch.rand(batch, units, generator=generator).argsort(dim=1)
    return order[:, :count].sort(dim=1).values, order[:, count:].sort(dim=1).values


def draw_text_mask(
    words: Tensor, ratio: float, mask_id: int, special: tuple[int, ...], generator: torch.Generator
) -> TextMask:
    """Mask each ordinary word with probability `ratio`, always by [MASK]; `words` itself is left as it is.

    words: int64 [B, L]. The ids in `special` ([CLS], [SEP], [PAD]) are never masked.
    """
    chosen = torch.rand(words.shape, generator=generator) < ratio
    for token in special:
        chosen &= words != token
    positions = chosen.flatten().nonzero().squeeze(1)
    return TextMask(
        words=words.masked_fill(chosen, mask_id),
        positions=positions,
        targets=words.flatten()[positions],
    )
