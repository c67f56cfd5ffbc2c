"""`python -m tests.fuzz.results_folder --count 1000`: damaged results folders, shown by every command of analysis.

Each case is a small results folder with a few mutations from a fixed seed: cut-off or overwritten files, values of
other types and sizes, hostile text in labels, names of folders, lines of journals and logs. table, document, compare
and plot or report run on it. A case counts as a traceback where a command raises or writes the report of an unknown
error, as a hang where it takes longer than --limit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from analysis import compare, document, plot, report, table
from tests.analysis.figures.test_search import write_journal
from tests.analysis.folders import Builder
from tests.fuzz.harness import HOSTILE, Counts, call

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**63, 2**64 - 1, 1e308, -1e308, 5e-324, 0.5, [], {}, [1], {"a": 1}, [[]], *HOSTILE,
)  # fmt: skip
NAMES = ("..%", "a}b", "#", "~", "a\nb", "\udcff", "x y", "\x1b[31m", "-", "é", "y" * 240)
COMMANDS: dict[str, Callable[[Path], int]] = {
    "table": lambda folder: table.main([str(folder)]),
    "plot": lambda folder: plot.main([str(folder), "--format", "svg"]),
    "report": lambda folder: report.main([str(folder)]),
    "document": lambda folder: document.main([str(folder)]),
    "compare": lambda folder: compare.main([str(folder), str(folder)]),
}


SWEEPS = ("data_fraction", "objectives", "mask_ratio_compute")


def template(folder: Path, name: str, *, search: bool) -> None:
    """A whole results folder with one small sweep, logs, a failure, an environment, and perhaps a search."""
    builder = Builder(folder, queries=20, logs=True)
    builder.sweep(name, seeds=(0, 1), unfinished=[(0, 1)])
    runs = json.loads((folder / f"sweeps/{name}-tiny/sweep.json").read_text())["runs"]
    lacking = next(run["run"] for run in runs if (run["point"], run["seed"]) == (0, 1))
    (folder / "runs" / lacking).mkdir(parents=True, exist_ok=True)
    (folder / "runs" / lacking / "failure.json").write_text(
        json.dumps({"error": "ValueError: no", "traceback": "Traceback", "stage": "pretrain", "step": 3, "attempts": 1})
    )
    done = next(iter(builder.written))
    (folder / "runs" / done / "environment.json").write_text(
        json.dumps({"packages": {"torch": "2"}, "python": "3.11", "code": {"commit": "abc", "diff": ""}})
    )
    if search:
        write_journal(folder / "sweeps/search-tiny/study.journal", 10)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value; of long lists the first few."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value[:6]))
    places = [(value, key) for key, _ in items]
    for _, inner in items:
        places += _places(inner)
    return places


def _change_value(path: Path, dice: random.Random) -> None:
    """One value of a JSON file, or of a line of a log, becomes another, goes away, or comes twice."""
    text = path.read_text(errors="surrogateescape")
    lines = text.splitlines() if path.suffix in (".jsonl", ".journal") else [text]
    number = dice.randrange(len(lines)) if lines else 0
    try:
        content = json.loads(lines[number])
    except (ValueError, IndexError, RecursionError):  # damaged already by the mutation before
        return
    places = _places(content)
    if not places:
        return
    container, key = dice.choice(places)
    if dice.random() < 0.2:
        del container[key]
    elif dice.random() < 0.1 and isinstance(container, dict):
        container[dice.choice(HOSTILE)] = container[key]
    else:
        container[key] = dice.choice(ODD)
    lines[number] = json.dumps(content)
    path.write_text("\n".join(lines) + "\n", errors="surrogateescape")


def _cut(path: Path, dice: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: dice.randrange(len(content) + 1)])


def _noise(path: Path, dice: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(dice.randrange(1, 8)):
        if content:
            content[dice.randrange(len(content))] = dice.randrange(256)
    path.write_bytes(bytes(content))


def _replace(path: Path, dice: random.Random) -> None:
    odd = (b"", b"[]", b"{}", b"null", b"\xff\xfe", b"[" * 5000, b"1e400", json.dumps(dice.choice(ODD)).encode())
    path.write_bytes(dice.choice(odd))


def _rename(path: Path, dice: random.Random) -> None:
    with contextlib.suppress(OSError):
        path.parent.rename(path.parent.parent / dice.choice(NAMES))


def _other_kind(path: Path, dice: random.Random) -> None:
    """A file becomes a folder, a link to nowhere or to itself, or goes away."""
    path.unlink()
    kind = dice.randrange(4)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        path.symlink_to("nowhere")
    elif kind == 2:
        path.symlink_to(path.name)


def _label(path: Path, dice: random.Random) -> None:
    """Hostile text where a sweep has text."""
    sweep = dice.choice(sorted(path.parents[2].glob("sweeps/*/sweep.json")) or [path])
    try:
        content = json.loads(sweep.read_text())
        dice.choice(content["points"])["label"] = dice.choice(HOSTILE)
        content[dice.choice(("title", "name", "preset", "command"))] = dice.choice(HOSTILE)
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return  # an earlier mutation took it away
    sweep.write_text(json.dumps(content))


MUTATIONS = (_change_value, _change_value, _change_value, _cut, _noise, _replace, _rename, _other_kind, _label)


def mutate(folder: Path, dice: random.Random) -> None:
    """One to four mutations; result.json and sweep.json are chosen as often as all other files together."""
    for _ in range(dice.randrange(1, 5)):
        files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        main = [path for path in files if path.name in ("result.json", "sweep.json")]
        path = dice.choice(main if main and dice.random() < 0.5 else files)
        dice.choice(MUTATIONS)(path, dice)


def run_case(folder: Path, limit: int, counts: Counts, name: str) -> None:
    """Run the commands on the folder and count what becomes of them; of plot and report, which both draw, one."""
    drawing = "plot" if counts.cases % 2 else "report"
    for command, main in COMMANDS.items():
        if command in ("plot", "report") and command != drawing:
            continue
        counts.judge(f"{name} {command}", lambda main=main: f"code {call(lambda: main(folder))[0]}", limit)
        plt.close("all")
    counts.cases += 1


def fuzz(count: int, seed: int = 0, limit: int = 60, first: int = 0) -> Counts:
    """Cases `first` to `first + count`; a case depends on `seed` and its number alone."""
    counts = Counts()
    with tempfile.TemporaryDirectory() as temporary:
        base, folder = Path(temporary) / "whole", Path(temporary) / "outer" / "results"
        for k in range(2 * len(SWEEPS)):
            template(base / str(k), SWEEPS[k % len(SWEEPS)], search=k >= len(SWEEPS))
        for number in range(first, first + count):
            shutil.copytree(base / str(number % (2 * len(SWEEPS))), folder)
            mutate(folder, random.Random(f"{seed}/{number}"))
            run_case(folder, limit, counts, f"case {number}")
            outside = {path.name for path in (*Path(temporary).iterdir(), *folder.parent.iterdir())}
            if outside != {"whole", "outer", "results"}:
                raise AssertionError(f"case {number} wrote outside of its folder: {sorted(outside)}")
            shutil.rmtree(folder)
    return counts


def main() -> None:
    """The command; its exit code is 1 where a case ended in a traceback or a hang."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="how many cases (1000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case (0)")
    parser.add_argument("--seed", type=int, default=0, help="of all cases (0)")
    parser.add_argument("--limit", type=int, default=60, metavar="SECONDS", help="of a command (60)")
    arguments = parser.parse_args()
    sys.exit(fuzz(arguments.count, arguments.seed, arguments.limit, arguments.first).report())


if __name__ == "__main__":
    main()
