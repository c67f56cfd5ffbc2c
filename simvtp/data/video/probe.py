"""One video file: what it is, or why it cannot be read. Runs in the workers of `check`, and imports little."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from simvtp.data.video.video import Video
from simvtp.errors import DataError

PART = 64  # frames that are decoded at once


@dataclass(frozen=True)
class Seen:
    """What one video is: frames, seconds (0 where its rate is not known), width, height."""

    frames: int
    seconds: float
    width: int
    height: int


def look(deep: bool, path: Path) -> Seen | str:
    """One video, in a worker: what it is, or why it cannot be read."""
    try:
        video = Video(path)
        count = video.frame_count
        parts = range(0, count, PART) if deep else range(1)
        for first in parts:
            frames = video.frames(range(first, min(count, first + (PART if deep else 1))))
    except DataError as error:
        return str(error)
    rate = video.frames_per_second
    return Seen(count, count / rate if rate else 0.0, frames.shape[2], frames.shape[1])
