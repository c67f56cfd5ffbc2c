"""What the commands of analysis share: arguments, choice of sweeps, output. Exit codes: simvtp.cli.boundary."""

from __future__ import annotations

import argparse
import difflib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from analysis.runs.text import printable
from simvtp.cli import Parser, boundary
from simvtp.errors import ConfigError, DataError
from simvtp.runtime.files import write_bytes

if TYPE_CHECKING:
    from analysis.runs.load import Collection
    from analysis.runs.schema import Sweep

log = logging.getLogger(__name__)

EXITS = """exit code: 0, every sweep was shown (unfinished ones as far as they are; what was left out is counted and
named on stderr); 1, some sweep could not be shown, or an unknown error, whose report is in a file that stderr names; 2,
nothing could be done, one paragraph on stderr says why"""

Show: TypeAlias = "Callable[[argparse.Namespace, Collection, Sequence[Sweep]], int]"


def parser(program: str, description: str) -> argparse.ArgumentParser:
    """A parser with the arguments that every command has: the results folder and --only."""
    made = Parser(
        prog=program, description=description, epilog=EXITS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("folder", type=Path, nargs="?", default=Path("results"), help="a results folder (results/)")
    made.add_argument("--only", metavar="NAME", help="one sweep, by its name or its folder under sweeps/")
    return made


def run(arguments: argparse.Namespace, show: Show) -> int:
    """Load, choose, show; returns the exit code. `show` returns how many sweeps it could not show."""

    def body() -> int:
        from analysis.runs.load import load  # numpy: not for --help

        collection = load(arguments.folder)
        sweeps = _chosen(collection, arguments.only)
        log_skipped(collection)
        return 1 if show(arguments, collection, sweeps) else 0

    return boundary(body)


def _chosen(collection: Collection, only: str | None) -> list[Sweep]:
    """The sweeps that `--only` names, or all; raises DataError if there is none."""
    if not collection.sweeps and not collection.searches:
        log_skipped(collection)
        raise DataError(
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
        raise DataError(f"--only {only!r}: {collection.folder} has no such sweep; there are {', '.join(names)}{hint}")
    return chosen


def searches(collection: Collection, only: str | None) -> list[str]:
    """Folders of the searches that `--only` names, or of all."""
    return [name for name in collection.searches if only is None or only in _names(name)]


def _names(folder: str) -> tuple[str, str]:
    """What a folder under sweeps/ is called by: itself, or without its preset."""
    return folder, folder.rpartition("-")[0]


def log_skipped(collection: Collection) -> None:
    """Log what of the folder is left out, and why."""
    if collection.skipped:
        lines = [f"  {skip.where}: {skip.why}" for skip in collection.skipped]
        folder = printable(str(collection.folder))
        log.warning("%s", "\n".join([f"Left out: {len(collection.skipped)} of {folder}", *lines]))


def output(text: str) -> None:
    """Print a line of a command's result on stdout, without what a terminal would take for a command."""
    print(printable(text))


def write(path: Path, content: bytes) -> None:
    """Replace a file in one step; raises DataError that names the file where it cannot be written."""
    try:
        write_bytes(path, content)
    except (OSError, ConfigError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"{path} cannot be written ({reason}). Make its folder writable, or name another with --output."
        ) from error
