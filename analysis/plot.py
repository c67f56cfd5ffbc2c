"""`python analysis/plot.py results/`: figures/<sweep>.png (also .pdf and .svg), with -cost and -learning beside it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__" and not __package__:  # run as a file: this folder must not hide the standard `statistics`
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis import command, comparison, figures, learning, style
from analysis.records import Sweep
from analysis.results import Collection
from analysis.summary import summarise


def show(arguments: argparse.Namespace, collection: Collection, sweeps: Sequence[Sweep]) -> int:
    """Draws every sweep; returns how many sweeps have nothing to show yet."""
    style.apply()
    folder, empty = Path(arguments.folder) / "figures", 0
    formats = tuple(arguments.format or style.FORMATS)
    for sweep in sweeps:
        summary = summarise(sweep, collection)
        if not summary.done:
            print(f"{sweep.folder}: nothing finished yet. {summary.state()}", file=sys.stderr)
            empty += 1
            continue
        drawn = {"": figures.draw(summary), "-cost": comparison.cost(summary)}
        curves = learning.draw(summary, collection.folder)
        if curves is not None:
            drawn["-learning"] = curves
        for ending, figure in drawn.items():
            path = folder / f"{sweep.folder}{ending}"
            style.save(figure, path, formats)
            print(f"{path}.{formats[0]}" + (f" ({', '.join(formats[1:])})" if formats[1:] else ""))
        if summary.missing:
            print(f"{sweep.folder}: {summary.state()}")
    return empty


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("python analysis/plot.py", str(__doc__))
    parser.add_argument("--format", action="append", choices=style.FORMATS, help="only this format; repeatable")
    return command.run(parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
