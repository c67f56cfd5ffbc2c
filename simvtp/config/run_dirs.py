"""Where runs and pre-training stages live below a results folder.

    results/runs/<id>/        results/pretrained/<id>/           as a rule, since people read and type these paths
    results/runs/ab/<id>/     results/pretrained/ab/<id>/        those of large sweeps, by how the id begins

One folder with ten thousand entries is slow on network disks and useless on a screen. So a sweep that would make it so
prepares deeper folders before any of its work begins, and everyone else looks where the folder is: `home` is the one
place that knows. A folder that is there stays where it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

RUNS, STAGES = "runs", "pretrained"


FEW = 1000  # entries that a folder may have before new ones go deeper


_DIGITS = 2


def home(results: Path, kind: str, name: str) -> Path:
    """Folder of a run or stage; where it is not there yet, the one that it is to have. kind: RUNS or STAGES."""
    plain = results / kind / name
    if plain.exists():
        return plain
    deep = results / kind / _shelf(name[:_DIGITS]) / name
    return deep if deep.exists() else plain


def homes(results: Path, kind: str) -> list[Path]:
    """Folders of all runs or stages that are there, by name."""
    found = []
    for entry in _folders(results / kind):
        found += [entry] if len(entry.name) > _DIGITS else _folders(entry)
    return sorted(found, key=lambda folder: folder.name)


def prepare(results: Path, kind: str, names: Iterable[str]) -> None:
    """Make deeper folders for what is not there yet, where it and what is there are too many for one folder."""
    new = [name for name in names if not home(results, kind, name).exists()]
    if len(new) + len(_folders(results / kind)) <= FEW:
        return
    for name in new:
        (results / kind / _shelf(name[:_DIGITS]) / name).mkdir(parents=True, exist_ok=True)


@cache
def _shelf(digits: str) -> str:
    """The same text every time: pathlib interns the parts of each path, and Python's table of interned texts doubles
    where thousands come and go."""
    return sys.intern(digits)


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if _is_folder(entry)]
    except FileNotFoundError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: whoever opens what should be in it says so
        return True
