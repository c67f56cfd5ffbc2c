"""Cost of a sweep beside its runs, by their number: `python benchmarks/sweep.py 10 100 1000 10000`.

Nothing is trained: its executor is a fake that writes a result for a run as soon as it is submitted, of
the length that a test of 1000 queries gives. All else is what `sweeps/run.py` does: the plan, the scan of the folder,
the study, the records of submissions, the status. Seconds; MB is the most that its own process took for that many
runs, and the most that any one of its children did; entries are those of the fullest folder.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from benchmarks.report import markdown, print_environment
from simvtp.config.presets import preset
from simvtp.config.schema import flatten
from sweeps.executors.base import JobEnd
from sweeps.executors.job_arrays import arrays
from sweeps.plan import Plan, Run, make_plan
from sweeps.scheduler.controller import Controller
from sweeps.scheduler.display import Screen, status_table
from sweeps.state.run_states import RunRegistry, RunState
from sweeps.state.submissions import Claim, Submissions
from sweeps.study.grid_study import GridStudy

POINTS = 4  # of sweep finetune_lr: each seed is one stage that so many runs share
ARRAY = 1000
QUERIES = 1000
WHOLE = ("runs", "entries")
TENTHS = ("MB", "MB of children")


class Fake:
    """Takes every run at once, as SLURM does, records the submission, and writes the results itself."""

    capacity, poll_seconds, stops_with_controller, has_queue = 1_000_000, 0.0, False, True

    def __init__(self, registry: RunRegistry) -> None:
        self.registry = registry

    def attach(self, runs: Sequence[Run]) -> dict[str, Any]:
        claims = {run.id: self.registry.submissions.claim("run", run.id) for run in runs}
        return {run: claim for run, claim in claims.items() if claim is not None}

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        jobs: dict[str, Any] = {}
        made = {run.stage: False for run in runs if run.stage is not None}
        submissions = Submissions(self.registry.results)
        for array in arrays(runs, made, 1, ARRAY):
            record = submissions.open("tiny", array.tasks, {})
            for number, task in enumerate(array.tasks):
                jobs |= {item.id: Claim(record.token, number) for item in task if item.kind == "run"}
        for run in runs:
            scores = {"text_to_video": {"R@1": 10.0}}
            cost = {"pretrain_seconds": 1.0, "finetune_seconds": 1.0, "device": "cpu"}
            ranks = [float(number % 97 + 1) for number in range(QUERIES)]
            (self.registry.folder(run.id) / "result.json").write_text(json.dumps({
                "version": 1, "run": run.id, "preset": "tiny", "config": flatten(run.config), "cost": cost,
                "metrics": {"test": scores, "validation": scores},
                "ranks": {"text_to_video": ranks, "video_to_text": ranks},
            }))  # fmt: skip
        return jobs

    def describe_plan(self, runs: Sequence[Run]) -> list[str]:
        return [f"{len(runs)} results"]

    def is_pending(self, job: Any) -> bool:  # noqa: ARG002
        return False

    def is_over(self, job: Any) -> bool:  # noqa: ARG002
        return True

    def check(self) -> None:
        """It takes every run."""

    def end_of(self, job: Any) -> JobEnd:  # noqa: ARG002
        return JobEnd.EXTERNAL

    def stage_job(self, run: Run, job: Any) -> Any:  # noqa: ARG002
        return job

    def describe(self, job: Any) -> str:
        return str(job)

    def log_path(self, job: Any) -> Path | None:  # noqa: ARG002
        return None

    def stop(self, jobs: Sequence[Any]) -> None:
        """Nothing runs."""

    def kill(self, job: Any) -> None:
        """Nothing runs."""


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    value = action()
    return time.perf_counter() - began, value


def measure(runs: int, folder: Path) -> dict[str, float]:
    """Seconds of each part for a sweep of so many runs."""
    seeds = tuple(range(max(1, runs // POINTS)))
    seconds: dict[str, float] = {}
    seconds["plan"], plan = timed(lambda: make_plan("finetune_lr", "tiny", preset("tiny"), seeds))
    registry = RunRegistry(folder)

    def scan() -> dict[str, RunState]:
        return registry.states(plan)

    seconds["scan, empty"], _ = timed(scan)
    seconds["controller"], _ = timed(lambda: control(plan, registry))
    seconds["scan, done"], states = timed(scan)
    seconds["status"], _ = timed(
        lambda: Console(file=io.StringIO(), width=160).print(status_table(plan, states, most=50))
    )
    seconds["controller again"], _ = timed(lambda: control(plan, registry))
    seconds["controller, ms a run"] = 1000 * seconds["controller"] / len(plan.runs)
    seconds["MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds["MB of children"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    seconds["entries"] = max(len(folders) + len(files) for _, folders, files in os.walk(folder))
    return {"runs": len(plan.runs), **seconds}


def measured(runs: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        return measure(runs, Path(folder))


def control(plan: Plan, registry: RunRegistry) -> None:
    """A controller from its start to its end, its words not shown."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        study = GridStudy(plan, registry, registry.results / "sweeps" / plan.folder / "study.journal")
        registry.write_sweeps(plan, "benchmark")
        registry.prepare(plan.runs.values())
        study.write(Controller(plan, registry, study, Fake(registry), Screen(Console(file=nowhere))).run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=int, nargs="*", default=[10, 100, 1000, 10_000])
    print_environment()
    rows = []
    for count in parser.parse_args().runs:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            row = alone.submit(measured, count).result()
        digits = dict.fromkeys(WHOLE, 0) | dict.fromkeys(TENTHS, 1)
        rows.append({name: f"{value:.{digits.get(name, 3)}f}" for name, value in row.items()})
    print(markdown(rows))


if __name__ == "__main__":
    main()
