"""Reader of video files by decord, in a process that can be killed: its C++ code may hang on damaged files."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simvtp.data.video.container import first_line, refuse_unordered
from simvtp.data.video.frames import Frames, read_blocks
from simvtp.data.video.paths import ffmpeg_url
from simvtp.errors import DataError
from simvtp.runtime.worker_pool import Failure, Worker

try:
    import decord
except ImportError:
    decord = None

# one worker a process and thread: a child must not write into its parent's pipe, nor two threads into one at a time
_workers: dict[tuple[int, int, float], Worker] = {}


class DecordReader:
    """One video file.

    path: the video. seconds: time limit of opening it, and of each `read`. Raises DataError, also at a time limit.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        if decord is None:
            raise DataError("decord is not installed (it has no wheels for this machine): data.reader=pyav")
        refuse_unordered(path, "decord", seconds)
        self.path, self.seconds = path, seconds
        self.frame_count, self.frames_per_second = self._request(None)

    def read(self, indices: Sequence[int], short_side: int | None) -> Frames:
        """uint8 [T, H, W, 3], RGB, upright, of rising indices; smaller where the short side is above `short_side`."""
        found: Frames = self._request((list(indices), short_side))
        return found

    def _request(self, wanted: tuple[list[int], int | None] | None) -> Any:
        key = os.getpid(), threading.get_ident(), self.seconds
        if key not in _workers:
            _workers[key] = Worker(answer, None, self.seconds)
        found = _workers[key].answer((self.path.absolute(), wanted))
        if isinstance(found, Failure):
            raise DataError(f"{self.path}: {found.why}")
        if isinstance(found, str):
            raise DataError(found)
        return found


def answer(_: None, job: tuple[Path, tuple[list[int], int | None] | None]) -> Any:
    """In the worker: (frame count, frames per second), frames, or an error message."""
    path, wanted = job
    try:
        reader = decord.VideoReader(ffmpeg_url(path), num_threads=1)
        if wanted is None:
            return len(reader), float(reader.get_avg_fps())
        return read_blocks(lambda indices: _read(reader, indices), *wanted)
    except (decord.DECORDError, RuntimeError, ValueError, OSError) as error:
        return first_line(error)


def _read(reader: Any, indices: Sequence[int]) -> Frames:
    first = reader[indices[0]].asnumpy()
    if first.shape[2] == 3:
        frames: Frames = reader.get_batch(list(indices)).asnumpy()
        return frames
    # decord 0.6 derives the channels from the length of a row in memory, which is padded to 64 bytes: at a few
    # narrow widths (48: 192 / 48) that gives 4. The bytes are right: rows of RGB with a gap at the end.
    later = [reader[index].asnumpy() for index in indices[1:]]
    return np.stack([_without_padding(frame) for frame in (first, *later)])


def _without_padding(frame: Frames) -> Frames:
    height, width = frame.shape[:2]
    return frame.reshape(height, -1)[:, : width * 3].reshape(height, width, 3)
