"""Frames of a video file.

Readers live within one call: a reader that is opened before a fork and used after it hangs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from simvtp.data.video.container import first_line
from simvtp.data.video.decord_reader import DecordReader, decord
from simvtp.data.video.frames import SECONDS, Frames, Reader
from simvtp.data.video.paths import file_on_disk
from simvtp.data.video.pyav_reader import PyAVReader
from simvtp.data.video.torchcodec_reader import TorchCodecReader
from simvtp.errors import DataError, TruncatedVideo

__all__ = ["DEFAULT", "READERS", "Decoding", "Frames", "Video", "frame_count", "read"]

OpenReader = Callable[[Path, float], Reader]

# data.reader -> readers that try a file, one after the other. PyAV is first because it is faster (docs/corpora.md);
# decord, where there are wheels of it, decides on files that PyAV refuses.
READERS: dict[str, tuple[tuple[str, OpenReader], ...]] = {
    "auto": (("pyav", PyAVReader), *((("decord", DecordReader),) if decord else ())),
    "pyav": (("pyav", PyAVReader),),
    "decord": (("decord", DecordReader),),
    "torchcodec": (("torchcodec", TorchCodecReader),),
}


@dataclass(frozen=True)
class Decoding:
    """How video files are read. reader: a key of READERS; seconds: time limit of opening a file, and of each read."""

    reader: str = "auto"
    seconds: float = SECONDS


DEFAULT = Decoding()


class Video:
    """An open video: open, read, drop.

    path: the file, a member of a tar file or a part of a longer video (`paths`). reader: a key of READERS. seconds:
    time limit of opening it, and of each read. Attributes: frame_count; frames_per_second, None if unknown; reader, the
    one that reads it. Raises DataError that names the file where no reader can open it.
    """

    def __init__(self, path: Path, reader: str = "auto", seconds: float = SECONDS) -> None:
        try:
            is_file = file_on_disk(path).is_file()
        except OSError as error:  # a name that is too long
            raise DataError(f"{path} cannot be read ({error.strerror})") from error
        if not is_file:
            raise DataError(f"{path} does not exist, or is no file")
        self.path, self.seconds = path, seconds
        self._left, self._errors = list(READERS[reader]), list[str]()
        self._open()
        self.frame_count: int = self._reader.frame_count
        self.frames_per_second: float | None = self._reader.frames_per_second or None

    def frames(self, indices: Sequence[int], short_side: int | None = None) -> Frames:
        """uint8 [T, H, W, 3], RGB, in the order of `indices`, each decoded once.

        short_side: frames with a longer one are decoded to this size in pixels. Raises DataError if no reader can
        decode them.
        """
        wanted = sorted(set(indices))
        if not wanted or wanted[0] < 0 or wanted[-1] >= self.frame_count:
            raise DataError(f"{self.path}: frames {list(indices)} of {self.frame_count} do not exist")
        while True:
            try:
                decoded = self._reader.read(wanted, short_side)
            except Exception as error:
                self._errors.append(_describe(self.reader, error, self.path))
                self._open()
                if wanted[-1] >= self._reader.frame_count:
                    raise DataError(f"{self.path}: cannot be decoded ({'; '.join(self._errors)})") from error
                continue
            return decoded if wanted == list(indices) else decoded[np.searchsorted(wanted, list(indices))]

    def _open(self) -> None:
        """Take the next reader that can open the file; raises DataError with the errors of all."""
        while self._left:
            self.reader, open_reader = self._left.pop(0)
            try:
                self._reader = open_reader(self.path, self.seconds)
            except TruncatedVideo:
                raise
            except Exception as error:  # noqa: BLE001  (damaged files make decoders raise nearly anything)
                self._errors.append(_describe(self.reader, error, self.path))
            else:
                if self._reader.frame_count > 0:
                    return
                self._errors.append(f"{self.reader}: no frames")
        raise DataError(f"{self.path}: cannot be read ({'; '.join(self._errors)})")


def read(path: Path, indices: Sequence[int]) -> Frames:
    """uint8 [T, H, W, 3], RGB, in the order of `indices`; raises DataError naming the file."""
    return Video(path).frames(indices)


def frame_count(path: Path) -> int:
    """Frames that the file has; raises DataError naming it where it is no video."""
    return Video(path).frame_count


def _describe(reader: str, error: Exception, path: Path) -> str:
    """The error in one line, with its type where that is not one that readers raise on purpose."""
    if isinstance(error, av.error.ExitError):  # FFmpeg was interrupted in a call of its own
        return f"{reader}: not read in time (data.decode_seconds)"
    line = first_line(error).removeprefix(f"{path}: ")
    expected = isinstance(error, (DataError, RuntimeError, ValueError, OSError, av.error.FFmpegError))
    return f"{reader}: {line}" if expected else f"{reader}: {type(error).__name__}: {line}"
