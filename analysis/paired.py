"""`python analysis/paired.py RUN RUN`: two runs on the same test queries, and what their difference is worth.

A RUN is an id (or its first letters) below --results, or the path of a run's folder or result.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__" and not __package__:  # run as a file: this folder must not hide the standard `statistics`
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.console import Console
from rich.table import Table

from analysis.runs.schema import DIRECTIONS, Run, Unreadable, read_run
from analysis.stats.intervals import differences, interval
from simvtp.config.run_dirs import RUNS, homes

FIRST = (1, 5, 10)
EXITS = "exit code: 0, compared; 2, a run cannot be read or the two were tested on different queries, and why"
NOTE = (
    "95% intervals over test queries, the difference paired by query. They tell how sure the difference between these "
    "two trained models is, and nothing of other seeds: python analysis/table.py takes several."
)


def find(name: str, results: Path) -> Run:
    """The finished run of that id, beginning of an id, or path; raises Unreadable where there is not exactly one."""
    path = Path(name)
    places = [path] if path.is_file() else [path / "result.json"] if (path / "result.json").is_file() else []
    if not places:
        begun = (folder / "result.json" for folder in homes(results, RUNS) if folder.name.startswith(name))
        places = [place for place in begun if place.is_file()] if name.isalnum() else []
    if not places:
        raise Unreadable(f"{name}: no such finished run below {results} (--results), and no path of one")
    if len(places) > 1:
        ids = ", ".join(place.parent.name for place in places[:5])
        raise Unreadable(f"{name}: {len(places)} runs begin so ({ids}); write more of the id")
    try:
        return read_run(places[0].resolve())
    except Unreadable as problem:
        raise Unreadable(f"{places[0]}: {problem}") from problem


def comparison(first: Run, second: Run) -> Table:
    """R@1/5/10 of both and the difference, second minus first; raises Unreadable where the tests are not the same."""
    if not first.asked_like(second):
        raise Unreadable(f"{first.id} and {second.id} {_unlike(first, second)}: nothing can be paired")
    table = Table("", f"A {first.id}", f"B {second.id}", "B minus A")
    for way in DIRECTIONS:
        for k in FIRST:
            a, b = (run.hits(way, k)[None] for run in (first, second))
            (gap,) = differences([(b, a)])
            levels = [f"{found.mean:.1f} [{found.low:.1f}, {found.high:.1f}]" for found in (interval(a), interval(b))]
            between = gap.interval
            table.add_row(
                f"R@{k} {way.replace('_', ' ')}", *levels,
                f"{between.mean:+.1f} [{between.low:+.1f}, {between.high:+.1f}]",
            )  # fmt: skip
    return table


def _unlike(first: Run, second: Run) -> str:
    """In what their tests differ."""
    if first.corpus.get("test") != second.corpus.get("test"):
        return "were tested on different corpora"
    for way in DIRECTIONS:
        if (sizes := (len(first.ranks[way]), len(second.ranks[way])))[0] != sizes[1]:
            return f"have {sizes[0]} and {sizes[1]} queries {way}"
    return "group their queries by video in different ways"


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python analysis/paired.py", description=__doc__, epilog=EXITS)
    parser.add_argument("first", metavar="A", help="a run")
    parser.add_argument("second", metavar="B", help="another, compared with the first")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="results folder (results)")
    arguments = parser.parse_args(words)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False)
    try:
        console.print(comparison(find(arguments.first, arguments.results), find(arguments.second, arguments.results)))
    except (Unreadable, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    console.print(NOTE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
