"""Frames of a video file, and which frames to take.

decord decodes where it can be imported, PyAV elsewhere. Readers live within one call: a reader that is opened before a
fork and used after it hangs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from simvtp.data.errors import DataError

try:
    import decord
except ImportError:
    decord = None

Frames = NDArray[np.uint8]


class Video:
    """An open video: frame_count, frames_per_second (None where unknown), and the frames that are asked for.

    Raises DataError naming the file where it cannot be opened. Not to be kept: open, read, drop.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = _open(path)
        self.frame_count: int = len(self._reader)
        self.frames_per_second: float | None = self._reader.get_avg_fps() or None
        if self.frame_count < 1:
            raise DataError(f"{path}: a video without frames")

    def frames(self, indices: Sequence[int]) -> Frames:
        """uint8 [T, H, W, 3] in the order of `indices`, each decoded once; raises DataError where that fails."""
        wanted = sorted(set(indices))
        if not wanted or wanted[0] < 0 or wanted[-1] >= self.frame_count:
            raise DataError(f"{self.path}: frames {list(indices)} of {self.frame_count} do not exist")
        try:
            decoded = self._reader.read(wanted)
        except _FAILURES as error:
            raise DataError(f"{self.path}: cannot be decoded ({_first_line(error)})") from error
        return decoded[np.searchsorted(wanted, list(indices))]


def read(path: Path, indices: Sequence[int]) -> Frames:
    """uint8 [T, H, W, 3], RGB, in the order of `indices`; raises DataError naming the file."""
    return Video(path).frames(indices)


def frame_count(path: Path) -> int:
    """Frames that the file says it has; raises DataError naming it where it is no video."""
    return Video(path).frame_count


class _Decord:
    def __init__(self, path: Path) -> None:
        self._reader = decord.VideoReader(str(path), num_threads=1)

    def __len__(self) -> int:
        return len(self._reader)

    def get_avg_fps(self) -> float:
        return float(self._reader.get_avg_fps())

    def read(self, indices: Sequence[int]) -> Frames:
        first = self._reader[indices[0]].asnumpy()
        if first.shape[2] == 3:
            return self._reader.get_batch(list(indices)).asnumpy()
        # decord 0.6 derives the channels from the length of a row in memory, which is padded to 64 bytes: at a few
        # narrow widths (48: 192 / 48) that gives 4. The bytes are right: rows of RGB with a gap at the end.
        later = [self._reader[index].asnumpy() for index in indices[1:]]
        return np.stack([_without_gaps(frame) for frame in (first, *later)])


def _without_gaps(frame: Frames) -> Frames:
    height, width = frame.shape[:2]
    return frame.reshape(height, -1)[:, : width * 3].reshape(height, width, 3)


class _PyAV:
    """All frames are decoded in order: there is no exact seek for every format."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with av.open(str(path)) as file:
            if not file.streams.video:
                raise DataError(f"{path}: no video stream")
            stream = file.streams.video[0]
            self._rate = float(stream.average_rate or 0)
            self._count = stream.frames or sum(1 for _ in file.decode(stream))

    def __len__(self) -> int:
        return int(self._count)

    def get_avg_fps(self) -> float:
        return self._rate

    def read(self, indices: Sequence[int]) -> Frames:
        wanted, found = set(indices), []
        with av.open(str(self._path)) as file:
            for number, frame in enumerate(file.decode(video=0)):
                if number in wanted:
                    found.append(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90))  # as decord does
                if len(found) == len(wanted):
                    break
        if len(found) < len(wanted):
            raise DataError(f"{self._path}: ends before frame {indices[-1]}")
        return np.stack(found)


_FAILURES: tuple[type[Exception], ...] = (RuntimeError, ValueError, OSError, av.error.FFmpegError)
if decord is not None:
    _FAILURES = (*_FAILURES, decord.DECORDError)


def _open(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    try:
        return _Decord(path) if decord is not None else _PyAV(path)
    except DataError:
        raise
    except _FAILURES as error:
        raise DataError(f"{path}: cannot be opened as a video ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def dense_indices(count: int, frames: int, stride: int, start: float) -> list[int]:
    """`frames` indices, `stride` apart; `start` in [0, 1) picks one of the possible first frames.

    A video too short for that has a smaller stride; one with too few frames repeats them, spread evenly.
    """
    if count < frames:
        return segment_indices(count, frames, 0, 1)
    stride = min(stride, (count - 1) // (frames - 1)) if frames > 1 else 1
    span = (frames - 1) * stride + 1
    first = int(start * (count - span + 1))
    return [first + stride * step for step in range(frames)]


def segment_indices(count: int, frames: int, segment: int, segments: int) -> list[int]:
    """`frames` indices spread over the whole video; the segments are offset against each other.

    One segment takes the middle of each of `frames` equal parts.
    """
    return spread_indices(count, frames, (segment + 0.5) / segments)


def spread_indices(count: int, frames: int, phase: float) -> list[int]:
    """One index from each of `frames` equal parts of the video; `phase` in [0, 1): where in the part."""
    return [min(count - 1, int((part + phase) * count / frames)) for part in range(frames)]
