"""Decoded frames, and the interface of every reader of video files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

BLOCK = 4  # whole frames that are in memory at once where smaller ones are made of them; one of 4K takes 24 MiB
SECONDS = 60.0  # time limit of opening a video, and of reading from it


class Reader(Protocol):
    """An open video file.

    frame_count: frames that are shown. frames_per_second: 0 if it is not known.
    """

    frame_count: int
    frames_per_second: float

    def read(self, indices: Sequence[int], short_side: int | None) -> Frames:
        """uint8 [T, H, W, 3], RGB, upright, of rising indices; smaller where the short side is above `short_side`."""
        ...


def target_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Height and width in pixels that a frame is decoded to; it is never enlarged."""
    if short_side is None or min(height, width) <= short_side:
        return height, width
    scale = short_side / min(height, width)
    return max(short_side, round(height * scale)), max(short_side, round(width * scale))


class Scaler:
    """Converts FFmpeg's frames to RGB pixels at a given size; one object serves all frames of a video.

    FFmpeg's set-up is kept between frames, and has one thread: a new one for each frame, with threads of its own,
    takes longer than the scaling. Scaling goes to planes of RGB first: that is faster, and straight to packed RGB of
    an even width FFmpeg would halve the resolution of colours (docs/corpora.md).
    """

    def __init__(self) -> None:
        self._scaling, self._packing = VideoReformatter(), VideoReformatter()

    def rgb(self, frame: Any, height: int, width: int) -> Frames:
        """uint8 [height, width, 3] of an `av.VideoFrame`."""
        if (height, width) != (frame.height, frame.width):
            frame = self.scaled(frame, height, width, "gbrp")
        packed: Any = self._packing.reformat(frame, format="rgb24", threads=1)
        pixels: Frames = packed.to_ndarray()
        return pixels

    def scaled(self, frame: Any, height: int, width: int, pixel_format: str) -> Any:
        """An `av.VideoFrame` of that size and pixel format (FFmpeg's name, such as yuv420p)."""
        return self._scaling.reformat(frame, width, height, pixel_format, interpolation="AREA", threads=1)


def resize_short_side(frames: Frames, short_side: int | None) -> Frames:
    """uint8 [T, H, W, 3] at `target_size`, scaled as `Scaler` scales frames while decoding."""
    height, width = target_size(frames.shape[1], frames.shape[2], short_side)
    if (height, width) == frames.shape[1:3]:
        return frames
    scaler = Scaler()
    pictures = (av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24") for frame in frames)
    return np.stack([scaler.rgb(picture, height, width) for picture in pictures])


def read_blocks(read: Callable[[Sequence[int]], Frames], indices: Sequence[int], short_side: int | None) -> Frames:
    """uint8 [T, H, W, 3] at `target_size`, from a reader that gives whole frames: a few of these at a time in memory.

    read(indices): uint8 [T, H, W, 3] of some frames.
    """
    blocks = (indices[first : first + BLOCK] for first in range(0, len(indices), BLOCK))
    return np.concatenate([resize_short_side(read(block), short_side) for block in blocks])
