"""Masks of video tubes and of words, as index tensors (SimVTP section 3.2).

Masks are drawn on the CPU from a seeded generator, so that a run has the same masks on every device. They are copied to
the device as indices, so no shape there depends on the values of a tensor.

A clip has `slots` time slots of `cells` tubes each; tube t is cell t % cells of slot t // cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from simvtp.config.plugins.usage import made
from simvtp.config.schema import Mask, Model
from simvtp.config.tube_counts import tubes_decoded, tubes_masked, units_masked
from simvtp.distributed.device_copy import copy_to_device
from simvtp.errors import ConfigError


@dataclass(frozen=True)
class VideoMask:
    """Tubes of each clip by index, each row ascending.

    visible: int64 [B, V], the tubes that the encoder sees.
    masked: int64 [B, M], the masked tubes that are decoded; V + M = tubes where all masked tubes are.
    """

    visible: Tensor
    masked: Tensor

    @staticmethod
    def hiding(masked: Tensor, tubes: int) -> VideoMask:
        """The mask that hides `masked`, int64 [B, M], of `tubes` tubes of a clip.

        Raises ConfigError if a row names a tube twice.
        """
        hidden = torch.zeros(len(masked), tubes, dtype=torch.bool).scatter(1, masked, True)
        if int(hidden.sum()) < masked.numel():
            raise ConfigError(f"a mask names a tube twice; it must name {masked.shape[1]} different ones in each clip")
        order = hidden.to(torch.uint8).argsort(dim=1, stable=True)
        visible = tubes - masked.shape[1]
        return VideoMask(visible=order[:, :visible], masked=order[:, visible:])

    def to(self, device: torch.device) -> VideoMask:
        return VideoMask(copy_to_device(self.visible, device), copy_to_device(self.masked, device))

    def rows(self, own: slice) -> VideoMask:
        """The masks of some of the clips."""
        return VideoMask(self.visible[own], self.masked[own])


@dataclass(frozen=True)
class TextMask:
    """Captions with some words masked.

    words: int64 [B, L], the captions with [MASK] at masked words.
    positions: int64 [K], indices of the masked words in the flattened [B * L]; K may be 0.
    targets: int64 [K], the ids of the masked words.
    """

    words: Tensor
    positions: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> TextMask:
        parts = (self.words, self.positions, self.targets)
        return TextMask(*(copy_to_device(part, device) for part in parts))

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
    """Positions of the words of each caption, split into visible and masked ones, each row packed to its left.

    visible: int64 [B, V], positions of the words that stay in the encoder.
    visible_present: bool [B, V], False at padding, where a row has fewer than V.
    masked, masked_present: the same of the masked words, [B, M].
    masked_index: int64 [K], the masked words in the flattened [B * M], without its padding.
    """

    visible: Tensor
    visible_present: Tensor
    masked: Tensor
    masked_present: Tensor
    masked_index: Tensor

    def to(self, device: torch.device) -> DroppedText:
        parts = (self.visible, self.visible_present, self.masked, self.masked_present, self.masked_index)
        return DroppedText(*(copy_to_device(part, device) for part in parts))


@dataclass(frozen=True)
class MaskedBatch:
    """The rows of one process with their masks: what the pre-training losses take.

    video: uint8 [B, T, H, W, 3].
    present: bool [B, L], False at [PAD].
    negatives: [processes * B], for each text of all processes: int64, the row of the clip of its mismatched pair; or,
        for hard negatives, float in [0, 1), the random number that `objectives.sample_hard_negatives` turns into a row.
    word_weight: masked words of this process as a share of those of all processes, times the number of processes.
    dropped: the caption without its masked words; None if they stay in the caption as [MASK].
    """

    video: Tensor
    present: Tensor
    video_mask: VideoMask
    text_mask: TextMask
    negatives: Tensor
    word_weight: float = 1.0
    dropped: DroppedText | None = None


def drop_masked(mask: TextMask, present: Tensor) -> DroppedText:
    """present: bool [B, L], False at [PAD]; on the CPU, since the shapes of the result depend on the masks."""
    masked = torch.zeros(present.numel(), dtype=torch.bool)
    masked[mask.positions] = True
    masked = masked.view(present.shape)
    masked_words, masked_present = _pack(masked)
    return DroppedText(
        *_pack(present & ~masked), masked_words, masked_present, masked_present.flatten().nonzero().squeeze(1)
    )


def _pack(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """bool [B, L] -> positions of the chosen, ascending, int64 [B, most of any row], and False at padding, bool."""
    positions = (~chosen).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(chosen.sum(dim=1).max())]
    return positions, chosen.gather(1, positions)


def draw_video_mask(batch: int, model: Model, mask: Mask, generator: torch.Generator) -> VideoMask:
    """One mask a clip (section 3.2, as in VideoMAE), all masked tubes decoded.

    mask.kind: tube masks the same cells in all slots; frame masks whole slots; random masks any tubes; others are of
    plugins. Raises ConfigError if a plugin's is not loaded, or gives no such mask.
    """
    if mask.kind == "tube":
        hidden, shown = _choose(batch, model.cells, units_masked(mask.video, model.cells), generator)
        offsets = torch.arange(model.slots).mul(model.cells).view(1, -1, 1)
        visible, masked = ((part.unsqueeze(1) + offsets).flatten(1) for part in (shown, hidden))
    elif mask.kind == "frame":
        hidden, shown = _choose(batch, model.slots, units_masked(mask.video, model.slots), generator)
        cells = torch.arange(model.cells).view(1, 1, -1)
        visible, masked = ((part.unsqueeze(2) * model.cells + cells).flatten(1) for part in (shown, hidden))
    elif mask.kind == "random":
        masked, visible = _choose(batch, model.tubes, units_masked(mask.video, model.tubes), generator)
    else:
        return _checked(made("mask", mask.kind).draw(batch, model, mask, generator), batch, model, mask)
    return VideoMask(visible=visible, masked=masked)


def _checked(drawn: VideoMask, batch: int, model: Model, mask: Mask) -> VideoMask:
    """The mask of a plugin; raises ConfigError if it does not split the tubes of each clip as it says it does."""
    if not isinstance(drawn, VideoMask):
        raise ConfigError(f"mask.kind: {mask.kind} gives {type(drawn).__name__}; it must give a VideoMask")
    count = tubes_masked(model, mask)
    whole = torch.cat((drawn.visible, drawn.masked), dim=1).sort(dim=1).values
    if drawn.masked.shape != (batch, count) or not torch.equal(whole, torch.arange(model.tubes).expand(batch, -1)):
        raise ConfigError(
            f"mask.kind: {mask.kind} masks {tuple(drawn.masked.shape)} and shows {tuple(drawn.visible.shape)}; it must "
            f"mask {count} of {model.tubes} tubes in each of {batch} clips, and show the others, each once"
        )
    return drawn


def select_decoded(drawn: VideoMask, model: Model, mask: Mask, generator: torch.Generator) -> VideoMask:
    """The same mask with only the masked tubes that are decoded (VideoMAE V2, section 3.2: running cells).

    The four cells of every 2 x 2 square take turns: a cell that is decoded at one slot is not at the next, so the
    share is even over space and time. Each clip starts at a random turn.
    """
    if mask.decoded == 1:
        return drawn
    side = model.size // model.patch
    turn = torch.tensor([[0, 1], [3, 2]])  # once round the square
    cell, slot = drawn.masked % model.cells, drawn.masked // model.cells
    start = torch.randint(4, (len(drawn.masked), 1), generator=generator)
    wait = (turn[cell // side % 2, cell % side % 2] + slot + start) % 4
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

    words: int64 [B, L]. mask_id: the id of [MASK]. special: ids that are never masked ([CLS], [SEP], [PAD]).
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
