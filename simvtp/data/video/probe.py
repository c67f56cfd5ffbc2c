"""What one video file is, or why it cannot be read. Runs in the workers of `check`, and imports little."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av

from simvtp.data.video.container import open_container, refuse_decoding_errors, video_stream
from simvtp.data.video.frames import SECONDS
from simvtp.data.video.paths import split_clip
from simvtp.data.video.video import Video
from simvtp.errors import DataError

CHUNK = 64  # frames that are decoded at once
SMALL = 64  # short side in pixels that they are decoded to, so that a chunk of a 4K video stays small in memory


@dataclass(frozen=True)
class VideoInfo:
    """One video: frames, seconds (0 if its rate is not known), width and height in pixels."""

    frames: int
    seconds: float
    width: int
    height: int


def probe(deep: bool, path: Path) -> VideoInfo | str:
    """What the video at `path` is, or why it cannot be read. deep: decode every frame, not only the first."""
    try:
        video = Video(path)
        count = video.frame_count
        height, width = video.frames([0]).shape[1:3]
        if deep:
            for first in range(0, count, CHUNK):
                video.frames(range(first, min(count, first + CHUNK)), SMALL)
            if split_clip(path)[1] is None:
                _refuse_damaged_end(path)
    except DataError as error:
        return str(error)
    rate = video.frames_per_second
    return VideoInfo(count, count / rate if rate else 0.0, width, height)


def _refuse_damaged_end(path: Path) -> None:
    """Raises DataError if decoding a file in a container without length meets an error, as a cut one does."""
    try:
        with open_container(path, SECONDS) as file:
            stream = video_stream(file, path)
            if refuse_decoding_errors(file, stream):
                for _ in file.decode(stream):
                    pass
    except av.error.FFmpegError as error:
        raise DataError(f"{path}: damaged or cut off ({error.strerror}); copy it again") from error
