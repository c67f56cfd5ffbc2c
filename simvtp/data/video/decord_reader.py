"""Video files by decord, in a process that can be killed: its C++ code may hang on damaged files, deaf to signals."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simvtp.data.video.frames import Frames, shrunk
from simvtp.data.video.tar_members import opened_as
from simvtp.errors import DataError
from simvtp.runtime.worker_pool import Failure, Worker

try:
    import decord
except ImportError:
    decord = None

# one a process and thread: a child must not talk into its parent's pipe, nor two threads into one at a time
_guards: dict[tuple[int, int, float], Worker] = {}


class Decord:
    """A video by path. Raises DataError, also where its time is over."""

    def __init__(self, path: Path, seconds: float) -> None:
        if decord is None:
            raise DataError("decord is not installed (it has no wheels for this machine): data.reader=pyav")
        self.path, self.seconds = path, seconds
        self.frame_count, self.frames_per_second = self._ask(None)

    def read(self, indices: Sequence[int], short_side: int | None) -> Frames:
        found: Frames = self._ask((list(indices), short_side))
        return found

    def _ask(self, wanted: Any) -> Any:
        key = os.getpid(), threading.get_ident(), self.seconds
        if key not in _guards:
            _guards[key] = Worker(answer, None, self.seconds)
        found = _guards[key].answer((self.path, wanted))
        if isinstance(found, Failure):
            raise DataError(f"{self.path}: {found.why}")
        if isinstance(found, str):
            raise DataError(found)
        return found


def answer(_: None, job: tuple[Path, tuple[list[int], int | None] | None]) -> Any:
    """In the guarded process: (frame count, frames per second), frames, or why not."""
    path, wanted = job
    try:
        reader = decord.VideoReader(opened_as(path), num_threads=1)
        if wanted is None:
            return len(reader), float(reader.get_avg_fps())
        return shrunk(_read(reader, wanted[0]), wanted[1])
    except (decord.DECORDError, RuntimeError, ValueError, OSError) as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _read(reader: Any, indices: Sequence[int]) -> Frames:
    first = reader[indices[0]].asnumpy()
    if first.shape[2] == 3:
        frames: Frames = reader.get_batch(list(indices)).asnumpy()
        return frames
    # decord 0.6 derives the channels from the length of a row in memory, which is padded to 64 bytes: at a few
    # narrow widths (48: 192 / 48) that gives 4. The bytes are right: rows of RGB with a gap at the end.
    later = [reader[index].asnumpy() for index in indices[1:]]
    return np.stack([_without_gaps(frame) for frame in (first, *later)])


def _without_gaps(frame: Frames) -> Frames:
    height, width = frame.shape[:2]
    return frame.reshape(height, -1)[:, : width * 3].reshape(height, width, 3)
