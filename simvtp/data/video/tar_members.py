"""Videos inside tar files: a path names one by where its bytes lie, so that no listing is needed to read it.

ROOT/train/000003.tar/512+93453/000003001.mp4 is the 93453 bytes from byte 512 of ROOT/train/000003.tar on. FFmpeg, and
so every reader here, takes such a part of a file as a file of its own; nothing is unpacked and nothing else is read.
"""

from __future__ import annotations

import re
from pathlib import Path

_PART = re.compile(r"(\d+)\+(\d+)")


def member(shard: str, start: int, size: int, name: str) -> str:
    """The path, from the corpus's folder, of the member `name` of a tar file."""
    return f"{shard}/{start}+{size}/{name}"


def _part(path: Path) -> tuple[Path, int, int] | None:
    """The tar file, first byte and size of a member; None for any other path."""
    match = _PART.fullmatch(path.parent.name)
    shard = path.parent.parent
    return (shard, int(match[1]), int(match[2])) if match and shard.suffix == ".tar" else None


def file_of(path: Path) -> Path:
    """The file on the disk that holds a video: the tar file of a member, else the path itself."""
    found = _part(path)
    return found[0] if found else path


def opened_as(path: Path) -> str:
    """What FFmpeg is to open: its `subfile` protocol for a member, else the path itself."""
    found = _part(path)
    if found is None:
        return str(path)
    shard, start, size = found
    return f"subfile,,start,{start},end,{start + size},,:{shard.absolute()}"
