"""Random and damaged command lines of every command: `python -m tests.fuzz.command_lines --count 1500`.

Each case is a command line that makes sense, damaged: hostile values, words left out, doubled, moved or cut, options
of other commands, odd environment variables. Commands of sweeps are asked to plan, show or cancel (--dry-run, --list,
--status, --why, --log, --cancel); in those that train, training is replaced by an exception that counts as "trains". A
case ends with exit code 0 to 3 and, where that is 2, words on stderr. A traceback, the report of an unknown error, an
escape code on the terminal, a sweep that would train, and a command that takes longer than --limit are printed with the
number of the case, and make the exit code 1. A case depends on its number alone.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import random
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import matplotlib.pyplot as plt

from simvtp.cli import boundary
from tests.fuzz.command_words import ENVIRONMENT, SPECS, Spec, line_of
from tests.fuzz.harness import Counts, call
from tests.fuzz.results_folder import template

LIMIT = 60
STARTS = (  # what a command of sweeps calls once it has planned
    ("sweeps.scheduler.run_sweep", "run_sweep"), ("sweeps.scheduler.run_sweep", "detach"),
    ("sweeps.search.run_search", "search"), ("sweeps.search.run_search", "detach"),
)  # fmt: skip


class Trains(BaseException):
    """The command has come to where it would train."""


def _trains(*_: object, **__: object) -> None:
    raise Trains


def run_line(spec: Spec, words: Sequence[str]) -> str:
    """Give a command its words in this process; how it ended. Raises AssertionError if it ends as none may."""
    module: Any = importlib.import_module(spec.module)

    def ended() -> object:
        try:
            return module.main(list(words)) if "main" in _own(module) else boundary(module._main)
        except SystemExit as end:  # of argparse
            return end.code or 0
        except Trains:
            return "trains"

    code, errors = call(ended)
    assert code in (0, 1, 2, 3, "trains"), f"code {code}: {errors}"
    assert code != "trains" or spec.trains, "a command that was asked to plan would train"
    assert code != 2 or errors.strip(), "code 2 without a word"
    return str(code) if code == "trains" else f"code {code}"


def _own(module: Any) -> set[str]:
    """Functions that a module defines itself."""
    return {name for name, member in vars(module).items() if getattr(member, "__module__", "") == module.__name__}


@contextlib.contextmanager
def no_training() -> Iterator[None]:
    """Whatever would train, or start a process that does, raises Trains."""
    with contextlib.ExitStack() as stack:
        for name, function in (*((spec.module, spec.trains) for spec in SPECS if spec.trains), *STARTS):
            stack.enter_context(mock.patch.object(importlib.import_module(name), function, _trains))
        yield


def make_world(folder: Path) -> list[str]:
    """What the words of a line name: results, videos that cannot be decoded, files of other kinds; ids of the runs."""
    template(folder / "results", "objectives", search=True)
    (folder / "empty").mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (folder / name).write_bytes(b"no video")
    (folder / "list.csv").write_text("video,caption,split\na.mp4,one,train\nb.mp4,two,val\nc.mp4,three,test\n")
    (folder / "list").write_bytes(b"\xff\x00\x1b[2J")
    (folder / "odd.py").write_text("SWEEP = 3\n")
    (folder / "odd.toml").write_text("gpus = 'x'\n")
    (folder / "page.md").write_text("# Page\n<!-- table: objectives -->\n")
    return sorted(path.name for path in (folder / "results/runs").iterdir())


def fuzz(first: int, count: int, limit: int = LIMIT) -> Counts:
    """Cases `first` to `first + count`, each in its own folder."""
    counts, before = Counts(), Path.cwd()
    specs = [spec for spec in SPECS for _ in range(spec.share)]
    with tempfile.TemporaryDirectory() as temporary, no_training():
        whole, world = Path(temporary) / "whole", Path(temporary) / "outer" / "world"
        runs = make_world(whole)
        try:
            for number in range(first, first + count):
                shutil.copytree(whole, world)
                os.chdir(world)
                dice = random.Random(f"command {number}")
                spec = dice.choice(specs)
                words = line_of(spec, dice, runs)
                odd = {name: dice.choice(values) for name, values in ENVIRONMENT.items() if dice.random() < 0.02}
                line = shlex.join([*(f"{key}={value}" for key, value in odd.items()), spec.module, *words])
                environment = {**odd, "HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline"}
                with mock.patch.dict(os.environ, environment), mock.patch.object(sys, "argv", [spec.module, *words]):
                    counts.judge(f"case {number}: {line!r}", lambda: run_line(spec, words), limit)  # noqa: B023
                plt.close("all")
                counts.cases += 1
                outside = {path.name for path in (*world.parents[1].iterdir(), *world.parent.iterdir())}
                assert outside == {"whole", "outer", "world"}, f"case {number}: {line!r} wrote outside of its folder"
                shutil.rmtree(world)
        finally:
            os.chdir(before)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.command_lines", description=__doc__)
    parser.add_argument("--count", type=int, default=1500, help="cases (1500)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (0)")
    parser.add_argument("--limit", type=int, default=LIMIT, metavar="SECONDS", help="of a command (60)")
    arguments = parser.parse_args()
    return fuzz(arguments.first, arguments.count, arguments.limit).report()


if __name__ == "__main__":
    sys.exit(main())
