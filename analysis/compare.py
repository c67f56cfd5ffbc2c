"""`python analysis/compare.py A/ B/`: which runs of two results folders differ in what and by how much."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__" and not __package__:  # run as a file: this folder must not hide the standard `statistics`
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analysis import cli
from analysis.runs.load import ResultsError, load
from analysis.stats.diff import Contrast, Line, Pair, Values, contrast
from analysis.stats.summary import MAIN
from analysis.tables import columns

EXITS = "exit code: 0, compared; 1, the folders have no sweep in common; 2, one of them cannot be read, and why"
_WIDTH = 160  # of the output where it is no terminal


@dataclass(frozen=True)
class Grid:
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = str | Grid  # a line of text, one that begins with '#' a heading; or a table


def blocks(found: Contrast, names: tuple[str, str]) -> list[Block]:
    """What the command says, in order, whatever it is shown on."""
    said: list[Block] = [f"# A: {names[0]}, B: {names[1]}"]
    for name, sweeps in zip("AB", (found.only_first, found.only_second), strict=True):
        if sweeps:
            said.append(f"Only in {name}: {', '.join(sweeps)}.")
    for pair in found.pairs:
        said += _pair(pair)
    return said


def _pair(pair: Pair) -> list[Block]:
    folders = [pair.first.sweep.folder, pair.second.sweep.folder]
    said: list[Block] = [f"## {pair.first.sweep.title} ({' and '.join(dict.fromkeys(folders))})"]
    for name, summary in zip("AB", (pair.first, pair.second), strict=True):
        if summary.missing:
            said.append(f"{name} is unfinished: {summary.done} of {summary.planned} runs.")
    for name, only in zip("AB", (pair.only_first, pair.only_second), strict=True):
        if only:
            said.append(f"Finished only in {name}: {'; '.join(only)}.")
    if pair.settings:
        said += ["The base differs in:", _values(pair.settings)]
    if pair.lines:
        headings = ("point", "n A", "n B", "R@1 A", "R@1 B", "B minus A", "verdict", "ranks")
        said.append(Grid(headings, [_line(line) for line in pair.lines]))
        said.append(
            "R@1 text-to-video, 95% intervals over seeds and test queries; B minus A is paired by seed and by query "
            "and Holm-corrected over the table; *: one seed, so queries only."
        )
    for group in pair.groups:
        runs = f"{len(group.runs)} run{'s' if len(group.runs) > 1 else ''} in both ({_few(group.runs)})"
        if group.differing:
            verb = "differ" if len(group.runs) > 1 else "differs"
            said += [f"{runs} {verb} in:", _values(group.differing)]
        else:
            same = ", code and environment" if group.recorded else "; of code and environment nothing was kept"
            said.append(f"{runs}: the same settings{same}.")
    return said


def _few(names: Sequence[str]) -> str:
    return "; ".join(names[:4]) + (f"; and {len(names) - 4} more" if len(names) > 4 else "")


def _values(values: Values) -> Grid:
    return Grid(("", "A", "B"), [(key, *both) for key, both in values.items()])


def _line(line: Line) -> list[str]:
    levels = [columns.level(row.level.get(MAIN)) for row in (line.first, line.second)]
    cells = [line.first.label, str(line.first.seeds), str(line.second.seeds), *levels]
    if line.difference is None:
        return [*cells, "-", line.obstacle, "-"]
    same = f"{len(line.same)} of {len(line.seeds)} the same"
    if len(line.same) == len(line.seeds):
        return [*cells, columns.gap(line.difference), "the same ranks", same]
    return [*cells, columns.gap(line.difference), line.difference.verdict, same]


def markdown(said: Sequence[Block]) -> str:
    """As a Markdown file."""
    parts = []
    for block in said:
        if isinstance(block, str):
            parts.append(block)
            continue
        rows = [[cell.replace("|", "\\|") for cell in row] for row in block.rows]
        rule = ["---"] * len(block.headings)
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in (block.headings, rule, *rows)))
    return "\n\n".join(parts) + "\n"


def show(said: Sequence[Block]) -> None:
    """On the screen."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    for block in said:
        if isinstance(block, str):
            console.print(block.lstrip("# "), markup=False, highlight=False, style="bold" if block[0] == "#" else None)
            continue
        table = Table(*(escape(heading) for heading in block.headings))
        for row in block.rows:
            table.add_row(*(escape(cell) for cell in row))
        console.print(table)


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python analysis/compare.py", description=__doc__, epilog=EXITS)
    parser.add_argument("first", type=Path, metavar="A", help="a results folder")
    parser.add_argument("second", type=Path, metavar="B", help="another, compared with the first")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write it there, as Markdown")
    arguments = parser.parse_args(words)
    try:
        both = load(arguments.first), load(arguments.second)
        for collection in both:
            cli.name_skipped(collection)
        found = contrast(*both)
        said = blocks(found, (str(arguments.first), str(arguments.second)))
        show(said)
        if arguments.output:
            cli.write(arguments.output, markdown(said).encode())
    except (ResultsError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    if not found.pairs:
        print(f"{arguments.first} and {arguments.second} have no sweep in common.", file=sys.stderr)
    return 0 if found.pairs else 1


if __name__ == "__main__":
    sys.exit(main())
