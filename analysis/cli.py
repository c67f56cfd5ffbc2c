"""What the commands of analysis share: arguments, messages, exit codes, files that are written whole."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from analysis.runs.load import Collection, ResultsError, load
from analysis.runs.schema import Sweep

EXITS = """exit code: 0, every sweep was shown (unfinished ones as far as they are; what was left out is counted and
named on stderr); 1, some sweep could not be shown; 2, nothing could be done, one paragraph on stderr says why"""

Show = Callable[[argparse.Namespace, Collection, Sequence[Sweep]], int]


def parser(program: str, description: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=program, description=description, epilog=EXITS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("folder", type=Path, nargs="?", default=Path("results"), help="a results folder (results/)")
    made.add_argument("--only", metavar="NAME", help="one sweep, by its name or its folder under sweeps/")
    return made


def run(arguments: argparse.Namespace, show: Show) -> int:
    """Load, choose, show; returns the exit code. `show` returns how many sweeps it could not show."""
    try:
        collection = load(arguments.folder)
        sweeps = _chosen(collection, arguments.only)
        name_skipped(collection)
        failed = show(arguments, collection, sweeps)
    except (ResultsError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    return 1 if failed else 0


def _chosen(collection: Collection, only: str | None) -> list[Sweep]:
    if not collection.sweeps and not collection.searches:
        name_skipped(collection)
        raise ResultsError(
            f"{collection.folder} holds {len(collection.runs)} finished runs, but no sweep that says how they belong "
            "together (sweeps/*/sweep.json). Run the sweep's command once more, such as `python sweeps/run.py "
            "mask_ratio`: it finds the finished runs and trains none of them again."
        )
    if only is None:
        return collection.sweeps
    parts = {part for name, folders in collection.parts.items() if only in _names(name) for part in folders}
    chosen = [sweep for sweep in collection.sweeps if only in (sweep.name, sweep.folder) or sweep.folder in parts]
    if not chosen and not searches(collection, only):
        names = sorted({*(sweep.name for sweep in collection.sweeps), *collection.searches, *collection.parts})
        close = difflib.get_close_matches(only, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ResultsError(
            f"--only {only!r}: {collection.folder} has no such sweep; there are {', '.join(names)}{hint}"
        )
    return chosen


def searches(collection: Collection, only: str | None) -> list[str]:
    """The searches that were asked for."""
    return [name for name in collection.searches if only is None or only in _names(name)]


def _names(folder: str) -> tuple[str, str]:
    """What a folder under sweeps/ is called by: itself, or without its preset."""
    return folder, folder.rpartition("-")[0]


def name_skipped(collection: Collection) -> None:
    """Say on stderr what of the folder is not trusted."""
    if collection.skipped:
        print(f"Left out: {len(collection.skipped)} of {collection.folder}", file=sys.stderr)
        for skip in collection.skipped:
            print(f"  {skip.where}: {skip.why}", file=sys.stderr)


def write(path: Path, content: bytes) -> None:
    """Replace `path` in one step; raises ResultsError where it cannot be written."""
    try:
        _replace(path, content)
    except OSError as problem:
        raise ResultsError(
            f"{path} cannot be written ({problem.strerror}). Make its folder writable, or name another place: "
            "--output of table.py, plot.py, report.py and compare.py."
        ) from problem


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
