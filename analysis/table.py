"""`python analysis/table.py results/`: one table per sweep, on screen and as tables/<sweep>.md, .tex and .csv."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__" and not __package__:  # run as a file: this folder must not hide the standard `statistics`
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis import command, layouts
from analysis.records import Sweep
from analysis.results import Collection
from analysis.summary import WANTED, Summary, summarise

_WIDTH = 160  # of the output where it is no terminal
# What gives way first where the terminal is narrow; the files hold everything.
_EXPENDABLE = ("R@10", "R@5", "seen", "MdR", "paper", "R@1 v→t", "min/run")


def screen(summary: Summary, width: int) -> Table:
    """The table for a terminal of that width: video-to-text by R@1 only, and fewer columns where they do not fit."""
    shown = {}
    for column in layouts.columns(summary):
        back = column.group == layouts.GROUPS[layouts.BACK]
        if not back or column.heading == "R@1":
            shown["R@1 v→t" if back else column.heading] = column
    ruler = Console(width=1000)
    for name in ("", *_EXPENDABLE):
        shown.pop(name, None) if name else None
        table = _table(summary, shown)
        if ruler.measure(table).maximum <= width:
            break
    return table


def _table(summary: Summary, shown: dict[str, layouts.Column]) -> Table:
    table = Table(title=f"{summary.sweep.title} ({summary.sweep.folder})", title_justify="left")
    for heading in shown:
        table.add_column(heading, justify="left" if heading in ("", "verdict") else "right")
    marked = [layouts.marks(summary, column) for column in shown.values()]
    for k, row in enumerate(summary.rows):
        cells = []
        for column, mark in zip(shown.values(), marked, strict=True):
            text = escape(column.text(row))
            style = {"best": "bold", "second": "underline"}.get(mark.get(k, ""))
            cells.append(f"[{style}]{text}[/{style}]" if style else text)
        table.add_row(*cells, style="reverse" if row.point.base else None)
    return table


def show(arguments: argparse.Namespace, collection: Collection, sweeps: Sequence[Sweep]) -> int:
    """Writes and prints the tables; returns how many sweeps have nothing to show yet."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    folder, empty = Path(arguments.folder) / "tables", 0
    for sweep in sweeps:
        summary = summarise(sweep, collection, arguments.wanted)
        if not summary.done:
            print(f"{sweep.folder}: nothing finished yet. {summary.state()}", file=sys.stderr)
            empty += 1
            continue
        for ending, render in (("md", layouts.markdown), ("tex", layouts.latex), ("csv", layouts.raw_csv)):
            command.write(folder / f"{sweep.folder}.{ending}", render(summary).encode())
        console.print(screen(summary, console.width))
        for note in layouts.notes(summary):
            console.print(f"  {note}", markup=False, highlight=False)
        console.print(f"  -> {folder / sweep.folder}.{{md,tex,csv}}\n", markup=False, highlight=False, soft_wrap=True)
    return empty


def _points(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is no difference of R@1; name one over 0 and up to 100 points")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("python analysis/table.py", str(__doc__))
    parser.add_argument("--wanted", type=_points, default=WANTED, metavar="POINTS",
                        help=f"say how many seeds a difference of R@1 of this size takes ({WANTED:g})")  # fmt: skip
    return command.run(parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
