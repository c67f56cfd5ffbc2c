"""Paths of videos that are part of a file: clips of a long video, and members of a tar file.

ROOT/talk.mp4/12.500-17.250s is the part of ROOT/talk.mp4 from second 12.5 up to, but without, second 17.25.

ROOT/train/000003.tar/512+93453/000003001.mp4 is the 93453 bytes from byte 512 of ROOT/train/000003.tar. FFmpeg reads
such a range through its `subfile` protocol; nothing is unpacked, and the tar file need not be listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_TIMES = re.compile(r"(\d+\.\d{3})-(\d+\.\d{3})s")

Span = tuple[float, float]  # seconds: begin and end of a clip


def clip_path(file: str, span: Span) -> str:
    """The path, from the same folder, of the part `span` of the video `file`; times are rounded to milliseconds."""
    return f"{file}/{span[0]:.3f}-{span[1]:.3f}s"


def split_clip(path: Path) -> tuple[Path, Span | None]:
    """The whole video that a path is of, and which part of it; None: all."""
    match = _TIMES.fullmatch(path.name)
    return (path.parent, (float(match[1]), float(match[2]))) if match else (path, None)


_RANGE = re.compile(r"(\d+)\+(\d+)")


def member_path(shard: str, start: int, size: int, name: str) -> str:
    """The path, from the corpus's folder, of the member `name` of a tar file: `size` bytes from byte `start`."""
    return f"{shard}/{start}+{size}/{name}"


def _byte_range(path: Path) -> tuple[Path, int, int] | None:
    """The tar file, first byte and size of a member; None for any other path."""
    path, _ = split_clip(path)
    match = _RANGE.fullmatch(path.parent.name)
    shard = path.parent.parent
    return (shard, int(match[1]), int(match[2])) if match and shard.suffix == ".tar" else None


def file_on_disk(path: Path) -> Path:
    """The file that holds a video: the tar file of a member, the long video of a clip, else the path itself."""
    found = _byte_range(path)
    return found[0] if found else split_clip(path)[0]


def ffmpeg_url(path: Path) -> str:
    """What FFmpeg opens; of a clip, the whole video.

    The prefix and the absolute path keep FFmpeg from taking a name such as `http:` for a protocol.
    """
    found = _byte_range(path)
    if found is None:
        return f"file:{split_clip(path)[0].absolute()}"
    shard, start, size = found
    return f"subfile,,start,{start},end,{start + size},,:file:{shard.absolute()}"


@contextmanager
def open_bytes(path: Path) -> Iterator[tuple[BinaryIO, int, int]]:
    """The file that holds a video, the (whole) video's first byte in it, and its size in bytes; raises OSError."""
    found = _byte_range(path)
    with file_on_disk(path).open("rb") as file:
        yield (file, found[1], found[2]) if found else (file, 0, file_on_disk(path).stat().st_size)
