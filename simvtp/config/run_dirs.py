"""Folders of runs and pre-training stages below a results folder.

    results/runs/<id>/        results/pretrained/<id>/           by default, since people read and type these paths
    results/runs/ab/<id>/     results/pretrained/ab/<id>/        for large sweeps, by the first digits of the id

A folder with ten thousand entries is slow to list on network disks. So a large sweep creates its nested folders before
any of its runs starts (`prepare`). `folder_of` supports both layouts. Existing folders are not moved.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

RUNS, STAGES = "runs", "pretrained"
FEW = 1000  # entries of a folder, above which new ones are nested
_DIGITS = 2  # of the id: the name of the folder between


def folder_of(results: Path, kind: str, name: str) -> Path:
    """Folder of a run or stage, whether it exists or is still to be made. kind: RUNS or STAGES."""
    flat = results / kind / name
    if flat.exists():
        return flat
    nested = results / kind / _interned(name[:_DIGITS]) / name
    return nested if nested.exists() else flat


def folders_of(results: Path, kind: str) -> list[Path]:
    """Existing folders of all runs or stages, by name."""
    folders = []
    for entry in _folders(results / kind):
        folders += [entry] if len(entry.name) > _DIGITS else _folders(entry)
    return sorted(folders, key=lambda folder: folder.name)


def prepare(results: Path, kind: str, names: Iterable[str]) -> None:
    """Make nested folders for names that have none yet, if they and the existing ones are too many for one folder."""
    new = [name for name in names if not folder_of(results, kind, name).exists()]
    if len(new) + len(_folders(results / kind)) <= FEW:
        return
    for name in new:
        (results / kind / _interned(name[:_DIGITS]) / name).mkdir(parents=True, exist_ok=True)


@cache
def _interned(digits: str) -> str:
    """The same string object every time: pathlib interns the parts of each path, and Python's table of interned strings
    doubles in size when thousands come and go."""
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
    except OSError:  # a link to itself: the error is raised where a file in it is opened
        return True
