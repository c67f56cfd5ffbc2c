"""`python analysis/compare.py A B`: the differences of two results folders, or of two runs, with their intervals.

Folders: which runs differ in what and by how much, sweep by sweep. Runs: R@1, R@5 and R@10 on the same test queries. A
run is an id (or its first letters) below --results, or the path of a run's folder or result.json.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__" and not __package__:  # run as a file: Python put analysis/ on the path, not the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis import cli
from analysis.runs.load import load
from analysis.runs.schema import DIRECTIONS, Run, Unreadable, read_run
from analysis.runs.text import printable
from analysis.stats.diff import PointDiff, ResultsDiff, SweepDiff, Values, diff_results
from analysis.stats.intervals import differences, interval
from analysis.stats.summary import MAIN
from analysis.tables import columns
from analysis.tables.markdown import pipe_table
from simvtp.cli import Parser, boundary
from simvtp.config.run_dirs import RUNS, folders_of

log = logging.getLogger(__name__)

EXITS = """exit code: 0, compared; 1, the folders have no sweep in common, or an unknown error, whose report is in a
file that stderr names; 2, one of them cannot be read, or two runs were tested on different queries, and why"""
FIRST = (1, 5, 10)
NOTE = (
    "95% intervals over test queries, the difference paired by query. They tell how sure the difference between these "
    "two trained models is, and nothing of other seeds: python analysis/table.py takes several."
)
_WIDTH = 160  # of the output where it is no terminal


@dataclass(frozen=True)
class Grid:
    """A table. headings: its first row; rows: cells as text."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


Block = str | Grid  # a paragraph, one that begins with '#' a heading; or a table


def folder_blocks(diff: ResultsDiff, names: tuple[str, str]) -> list[Block]:
    """The comparison of two folders, in order, for screen and Markdown. names: of A and of B."""
    blocks: list[Block] = [f"# A: {names[0]}, B: {names[1]}"]
    for name, sweeps in zip("AB", (diff.only_first, diff.only_second), strict=True):
        if sweeps:
            blocks.append(f"Only in {name}: {', '.join(sweeps)}.")
    for sweep in diff.sweeps:
        blocks += _sweep_blocks(sweep)
    return blocks


def _sweep_blocks(diff: SweepDiff) -> list[Block]:
    folders = [diff.first.sweep.folder, diff.second.sweep.folder]
    blocks: list[Block] = [f"## {diff.first.sweep.title} ({' and '.join(dict.fromkeys(folders))})"]
    for name, summary in zip("AB", (diff.first, diff.second), strict=True):
        if summary.missing:
            blocks.append(f"{name} is unfinished: {summary.done} of {summary.planned} runs.")
    for name, only in zip("AB", (diff.only_first, diff.only_second), strict=True):
        if only:
            blocks.append(f"Finished only in {name}: {'; '.join(only)}.")
    if diff.settings:
        blocks += ["The base differs in:", _values(diff.settings)]
    if diff.points:
        headings = ("point", "n A", "n B", "R@1 A", "R@1 B", "B minus A", "verdict", "ranks")
        blocks.append(Grid(headings, [_cells(point) for point in diff.points]))
        blocks.append(
            "R@1 text-to-video, 95% intervals over seeds and test queries; B minus A is paired by seed and by query "
            "and Holm-corrected over the table; *: one seed, so queries only."
        )
    for group in diff.groups:
        runs = f"{len(group.runs)} run{'s' if len(group.runs) > 1 else ''} in both ({_few(group.runs)})"
        if group.differing:
            verb = "differ" if len(group.runs) > 1 else "differs"
            blocks += [f"{runs} {verb} in:", _values(group.differing)]
        else:
            same = ", code and environment" if group.recorded else "; of code and environment nothing was kept"
            blocks.append(f"{runs}: the same settings{same}.")
    return blocks


def _few(names: Sequence[str]) -> str:
    return "; ".join(names[:4]) + (f"; and {len(names) - 4} more" if len(names) > 4 else "")


def _values(values: Values) -> Grid:
    return Grid(("", "A", "B"), [(key, *both) for key, both in values.items()])


def _cells(diff: PointDiff) -> list[str]:
    levels = [columns.level(row.level.get(MAIN)) for row in (diff.first, diff.second)]
    cells = [diff.first.label, str(diff.first.seeds), str(diff.second.seeds), *levels]
    if diff.difference is None:
        return [*cells, "-", diff.obstacle, "-"]
    same = f"{len(diff.same)} of {len(diff.seeds)} the same"
    verdict = "the same ranks" if len(diff.same) == len(diff.seeds) else diff.difference.verdict
    return [*cells, columns.gap(diff.difference), verdict, same]


def find_run(name: str, results: Path) -> Run:
    """The finished run of that id, beginning of an id, or path; raises Unreadable if there is not exactly one."""
    path = Path(name)
    paths = [path] if path.is_file() else [path / "result.json"] if (path / "result.json").is_file() else []
    if not paths:
        matches = (folder / "result.json" for folder in folders_of(results, RUNS) if folder.name.startswith(name))
        paths = [match for match in matches if match.is_file()] if name.isalnum() else []
    if not paths:
        raise Unreadable(f"{name}: no such finished run below {results} (--results), and no path of one")
    if len(paths) > 1:
        ids = ", ".join(match.parent.name for match in paths[:5])
        raise Unreadable(f"{name}: {len(paths)} runs begin so ({ids}); write more of the id")
    try:
        return read_run(paths[0].resolve())
    except Unreadable as problem:
        raise Unreadable(f"{paths[0]}: {problem}") from problem


def run_blocks(first: Run, second: Run) -> list[Block]:
    """R@1/5/10 of two runs and the difference, second minus first; raises Unreadable if the tests differ."""
    if not first.same_queries(second):
        raise Unreadable(f"{first.id} and {second.id} {_unlike(first, second)}: nothing can be paired")
    rows = []
    for way in DIRECTIONS:
        for k in FIRST:
            hits = [run.hits(way, k)[None] for run in (first, second)]  # [1, Q] each
            (difference,) = differences([(hits[1], hits[0])])
            levels = [interval(values) for values in hits]
            cells = [f"{level.mean:.1f} [{level.low:.1f}, {level.high:.1f}]" for level in levels]
            gap = difference.interval
            cells.append(f"{gap.mean:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}]")
            rows.append([f"R@{k} {way.replace('_', ' ')}", *cells])
    return [Grid(("", f"A {first.id}", f"B {second.id}", "B minus A"), rows), NOTE]


def _unlike(first: Run, second: Run) -> str:
    """How the tests of two runs differ, as the end of a sentence."""
    if first.corpus.get("test") != second.corpus.get("test"):
        return "were tested on different corpora"
    for way in DIRECTIONS:
        if (sizes := (len(first.ranks[way]), len(second.ranks[way])))[0] != sizes[1]:
            return f"have {sizes[0]} and {sizes[1]} queries {way}"
    return "group their queries by video in different ways"


def markdown(blocks: Sequence[Block]) -> str:
    """The blocks as a Markdown file."""
    parts = [block if isinstance(block, str) else pipe_table(block.headings, block.rows) for block in blocks]
    return "\n\n".join(parts) + "\n"


def show(blocks: Sequence[Block]) -> None:
    """Print the blocks; text from results is never interpreted as markup or terminal codes."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    for block in blocks:
        if isinstance(block, str):
            text = Text(printable(block.lstrip("# ")), style="bold" if block[0] == "#" else "")
            console.print(text)
            continue
        table = Table()
        for heading in block.headings:
            table.add_column(Text(printable(heading)))
        for row in block.rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        console.print(table)


def _is_results(path: Path) -> bool:
    """Whether a path is a results folder: it holds runs or sweeps."""
    return (path / RUNS).is_dir() or (path / "sweeps").is_dir()


def _compare(arguments: argparse.Namespace) -> int:
    paths = Path(arguments.first), Path(arguments.second)
    code = 0
    if any(map(_is_results, paths)):
        collections = load(paths[0]), load(paths[1])
        for collection in collections:
            cli.log_skipped(collection)
        diff = diff_results(*collections)
        blocks = folder_blocks(diff, (arguments.first, arguments.second))
        code = 0 if diff.sweeps else 1
    else:
        blocks = run_blocks(*(find_run(name, arguments.results) for name in (arguments.first, arguments.second)))
    show(blocks)
    if arguments.output:
        cli.write(arguments.output, markdown(blocks).encode(errors="replace"))
    if code:
        log.error("%s", printable(f"{paths[0]} and {paths[1]} have no sweep in common."))
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = Parser(prog="python analysis/compare.py", description=__doc__, epilog=EXITS,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("first", metavar="A", help="a results folder, or a run")
    parser.add_argument("second", metavar="B", help="another, compared with the first")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="where ids are looked up")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write it there, as Markdown")
    parsed = parser.parse_args(arguments)
    return boundary(lambda: _compare(parsed))


if __name__ == "__main__":
    sys.exit(main())
