"""`python analysis/table.py results/`: one table per sweep, on screen and as tables/<sweep>.md, .tex and .csv."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

if __name__ == "__main__" and not __package__:  # run as a file: Python put analysis/ on the path, not the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from analysis import cli
from analysis.runs.load import Collection
from analysis.runs.schema import Sweep
from analysis.stats import published
from analysis.stats.summary import WANTED, Summary, summarise
from analysis.tables import columns, latex, yardsticks

log = logging.getLogger(__name__)

_WIDTH = 160  # of the output where it is no terminal
# Columns that are dropped first on a narrow terminal; the files hold all of them.
_EXPENDABLE = ("R@10", "R@5", "seen", "MdR", "paper", "R@1 v→t", "min/run")


def screen(summary: Summary, width: int) -> Table:
    """The table for a terminal of that width: video-to-text by R@1 only, and fewer columns where they do not fit."""
    shown = {}
    for column in columns.columns(summary):
        back = column.group == columns.GROUPS[columns.BACK]
        if not back or column.heading == "R@1":
            shown["R@1 v→t" if back else column.heading] = column
    cells = {heading: [column.text(row) for row in summary.rows] for heading, column in shown.items()}
    widths = {heading: max(map(cell_len, (heading, *texts))) for heading, texts in cells.items()}
    for name in _EXPENDABLE:
        if _table_width(widths) <= width:
            break
        widths.pop(name, None)
    table = Table(title=Text(f"{summary.sweep.title} ({summary.sweep.folder})"), title_justify="left")
    fits = _table_width(widths) <= width  # then Rich need not measure every cell once more
    for heading, needed in widths.items():
        justify: JustifyMethod = "left" if heading in ("", "verdict") else "right"
        table.add_column(Text(heading), justify=justify, width=needed if fits else None, no_wrap=fits)
    marked = {heading: columns.marks(summary, shown[heading]) for heading in widths}
    for k, row in enumerate(summary.rows):
        texts = [_cell(cells[heading][k], marked[heading].get(k, "")) for heading in widths]
        table.add_row(*texts, style="reverse" if row.point.base else None)
    return table


def small(lines: Sequence[Sequence[str]]) -> Table:
    """The yardsticks of the base for a terminal."""
    table = Table(title=Text(yardsticks.TITLE), title_justify="left")
    for heading in yardsticks.HEADINGS:
        table.add_column(Text(heading), justify="right" if heading in ("reached", "floor") else "left")
    for line in lines:
        table.add_row(*map(Text, line))
    return table


def _table_width(widths: Mapping[str, int]) -> int:
    """Of Rich's table: a space each side of a cell, a line each side of a column."""
    return sum(widths.values()) + 3 * len(widths) + 1


def _cell(text: str, mark: str) -> Text:
    """As plain text, so that nothing in a label is taken for markup."""
    cell = Text(text)
    if mark:
        cell.stylize({"best": "bold", "second": "underline"}[mark])
    return cell


def show(arguments: argparse.Namespace, collection: Collection, sweeps: Sequence[Sweep]) -> int:
    """Writes and prints the tables; returns how many sweeps have nothing to show yet."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    folder, empty = arguments.output or Path(arguments.folder) / "tables", 0
    for name in cli.searches(collection, arguments.only) if arguments.only else ():
        log.warning("%s is a search and has no table: python analysis/plot.py shows it", name)
    for sweep in sweeps:
        summary = summarise(sweep, collection, arguments.wanted, with_published=arguments.published)
        if not summary.done:
            log.warning("%s: nothing finished yet. %s", sweep.folder, summary.state())
            empty += 1
            continue
        for ending, render in (("md", columns.markdown), ("tex", latex.latex), ("csv", columns.raw_csv)):
            cli.write(folder / f"{sweep.folder}.{ending}", render(summary).encode())
        console.print(screen(summary, console.width))
        if lines := yardsticks.rows(summary):
            console.print(small(lines))
        for note in columns.notes(summary):
            console.print(f"  {note}", markup=False, highlight=False)
        cli.output(f"  -> {folder / sweep.folder}.{{md,tex,csv}}\n")
    return empty


def _points(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is no difference of R@1; name one over 0 and up to 100 points")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("python analysis/table.py", str(__doc__))
    parser.add_argument("--wanted", type=_points, default=WANTED, metavar="POINTS",
                        help=f"say how many seeds a difference of R@1 of this size takes ({WANTED:g})")  # fmt: skip
    published.add_option(parser)
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write them (tables/ in the folder)")
    return cli.run(parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
