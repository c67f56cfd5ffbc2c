"""Which frames of a video become a clip: in training by a draw, at test by segment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class FrameSampling:
    """Frames of the clips of one stage.

    frames: of a clip.
    stride: frames of the video from one frame of the clip to the next; 0: spread over the whole video.
    short: where a video is shorter than that, stride (a smaller one) or repeat (its last frame; windows as released).
    stage: pretrain or finetune; the release places its windows differently in the two.
    """

    frames: int
    stride: int
    short: Literal["stride", "repeat"] = "stride"
    stage: Literal["pretrain", "finetune"] = "finetune"

    def train(self, count: int, start: float) -> list[int]:
        """Indices below `count` of a training clip; `start` in [0, 1) draws the place of the clip in the video."""
        if self.stride == 0:
            return spread_indices(count, self.frames, start)
        if self.short == "stride":
            return dense_indices(count, self.frames, self.stride, start)
        window = strided_window if self.stage == "pretrain" else even_window
        return window(count, self.frames, self.stride, start)

    def test(self, count: int, segments: int) -> list[int]:
        """Indices below `count` of the clips of a test video, one after the other; a single one is in the middle."""
        return [index for segment in range(segments) for index in self._segment(count, segment, segments)]

    def _segment(self, count: int, segment: int, segments: int) -> list[int]:
        if self.stride == 0:
            return segment_indices(count, self.frames, segment, segments)
        if self.short == "repeat":
            return kept_window(count, self.frames, self.stride, segment, segments)
        place = segment / (segments - 1) if segments > 1 else 0.5
        return dense_indices(count, self.frames, self.stride, min(place, math.nextafter(1, 0)))


def strided_window(count: int, frames: int, stride: int, start: float) -> list[int]:
    """Pre-training as released: a window of frames * stride frames, its frames `stride` apart.

    A shorter video begins at its first frame; where the next frame would be the last of the video or beyond, the frame
    before it is repeated.
    """
    first = int(start * max(count - frames * stride + 1, 1))
    last = first + max(count - 2 - first, 0) // stride * stride
    return [min(first + stride * step, last) for step in range(frames)]


def even_window(count: int, frames: int, stride: int, start: float) -> list[int]:
    """Fine-tuning as released: a window of frames * stride frames, its frames spread evenly from the first to the last.

    A shorter video gives count // stride frames, spread evenly over it, and repeats its last one.
    """
    window = frames * stride
    if count <= window:
        spread = np.linspace(0, count, count // stride)
        return [*map(int, spread.clip(0, count - 1)), *[count - 1] * (frames - len(spread))]
    first = int(start * (count - window))
    spread = np.linspace(first, first + window, frames)
    return [int(index) for index in spread.clip(first, first + window - 1)]


def kept_window(count: int, frames: int, stride: int, segment: int, segments: int) -> list[int]:
    """The test as released: of every stride-th frame, `frames` neighbours; segments from the start to the end.

    Where the video has fewer, the last of them is repeated. One segment lies in the middle.
    """
    kept = list(range(0, count, stride))
    kept += [kept[-1]] * (frames - len(kept))
    left = len(kept) - frames
    first = int(segment * (left / (segments - 1))) if segments > 1 else left // 2
    return kept[first : first + frames]


def dense_indices(count: int, frames: int, stride: int, start: float) -> list[int]:
    """`frames` indices below `count`, `stride` apart; `start` in [0, 1) picks one of the possible first frames.

    A video too short for that has a smaller stride; one with too few frames repeats them, spread evenly.
    """
    if count < frames:
        return segment_indices(count, frames, 0, 1)
    stride = min(stride, (count - 1) // (frames - 1)) if frames > 1 else 1
    span = (frames - 1) * stride + 1
    first = int(start * (count - span + 1))
    return [first + stride * step for step in range(frames)]


def segment_indices(count: int, frames: int, segment: int, segments: int) -> list[int]:
    """`frames` indices spread over the whole video of `count` frames; the segments are offset against each other.

    One segment takes the middle of each of `frames` equal parts.
    """
    return spread_indices(count, frames, (segment + 0.5) / segments)


def spread_indices(count: int, frames: int, phase: float) -> list[int]:
    """One index from each of `frames` equal parts of the video; `phase` in [0, 1): where in the part."""
    return [min(count - 1, int((part + phase) * count / frames)) for part in range(frames)]
