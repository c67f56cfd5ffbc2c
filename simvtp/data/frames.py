"""Decoded frames, and what every reader of video files offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

SECONDS = 60.0  # time limit of opening a video, and of reading from it


class Reader(Protocol):
    """Of one file. frame_count, frames_per_second (0: not known); raises what it raises where it cannot be opened."""

    frame_count: int
    frames_per_second: float

    def read(self, indices: Sequence[int], short_side: int | None) -> Frames:
        """uint8 [T, H, W, 3], RGB, upright, of rising indices; smaller where the short side is above `short_side`."""
        ...


def target(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Height and width that a frame is decoded to: never enlarged."""
    if short_side is None or min(height, width) <= short_side:
        return height, width
    scale = short_side / min(height, width)
    return max(short_side, round(height * scale)), max(short_side, round(width * scale))


def shrunk(frames: Frames, short_side: int | None) -> Frames:
    """Frames at their target size, scaled as `pyav_reader` scales them."""
    height, width = target(frames.shape[1], frames.shape[2], short_side)
    if (height, width) == frames.shape[1:3]:
        return frames
    pictures = (av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24") for frame in frames)
    return np.stack([p.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA") for p in pictures])
