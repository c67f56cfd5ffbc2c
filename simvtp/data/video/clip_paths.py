"""Clips of long videos, named by their times, so that reading one needs no cutting of files.

ROOT/talk.mp4/12.500-17.250s is the part of ROOT/talk.mp4 from second 12.5 up to, but without, second 17.25.
"""

from __future__ import annotations

import re
from pathlib import Path

_TIMES = re.compile(r"(\d+\.\d{3})-(\d+\.\d{3})s")

Span = tuple[float, float]  # seconds: begin and end of a clip


def clip_path(file: str, span: Span) -> str:
    """The path, from the same folder, of the part `span` of the video `file`; times are rounded to milliseconds."""
    return f"{file}/{span[0]:.3f}-{span[1]:.3f}s"


def split_clip(path: Path) -> tuple[Path, Span | None]:
    """The whole video that a path is of, and which part of it; None: all."""
    match = _TIMES.fullmatch(path.name)
    return (path.parent, (float(match[1]), float(match[2]))) if match else (path, None)
