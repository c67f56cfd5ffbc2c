"""Run a sweep from the command to its end: as its controller, detached, or attached to another controller."""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from rich.console import Console

from simvtp.config.run_dirs import RUNS, folder_of
from simvtp.runtime import heartbeat
from simvtp.runtime.locks import Busy, Lock, holder
from simvtp.runtime.signals import leave_terminal
from sweeps.executors.base import Executor
from sweeps.plan import Plan
from sweeps.scheduler.controller import Controller, Stopped
from sweeps.scheduler.display import Screen, result_table, script, show
from sweeps.scheduler.preflight import prepare_corpora
from sweeps.state.cost_estimate import cost_line
from sweeps.state.run_states import RunRegistry, RunState, is_retried
from sweeps.study.grid_study import GridStudy

log = logging.getLogger(__name__)

WATCH_SECONDS = 2.0


def run_sweep(
    plan: Plan, registry: RunRegistry, executor: Executor, arguments: argparse.Namespace, console: Console, command: str
) -> int:
    """Run the sweep to its end and print a summary; returns the exit code.

    If another controller already runs this sweep, show its progress, and take over if it dies.
    """
    folder = registry.results / "sweeps" / plan.folder
    handle_signals()
    while True:
        try:
            with Lock(folder / "lock"):
                states = _control(plan, registry, executor, arguments, command)
            break
        except Busy:
            watched = _watch(plan, registry, folder / "lock")
            if watched is not None:
                states = watched
                break
    return print_summary(console, plan, states, arguments)


def _control(
    plan: Plan, registry: RunRegistry, executor: Executor, arguments: argparse.Namespace, command: str
) -> dict[str, RunState]:
    """Run the controller; the caller holds the sweep's lock."""
    registry.write_sweeps(plan, command)
    registry.prepare(plan.runs.values())
    _begin(plan, registry, arguments.retry)
    study = GridStudy(plan, registry, registry.results / "sweeps" / plan.folder / "study.journal")
    controller = Controller(plan, registry, study, executor, Screen(), heartbeat.limit_seconds())
    states = run_controller(controller)
    study.write(states)
    return states


def _begin(plan: Plan, registry: RunRegistry, retry: str | None) -> None:
    """Prepare the corpora if anything is to be trained, and reset failed runs that are to be tried again."""
    before = registry.states(plan)
    retried = [run for run, state in before.items() if is_retried(state, retry)]
    if retried or any(state.name in ("waiting", "interrupted") for state in before.values()):
        prepare_corpora(plan)
    for run in retried:  # only after the corpora are prepared
        registry.retry(plan.runs[run])


def run_controller(controller: Controller) -> dict[str, RunState]:
    """Run a controller until all runs are over, Ctrl-C, or `Stopped`; returns the last states."""
    try:
        return controller.run()
    except KeyboardInterrupt:
        if controller.executor.stops_with_controller:
            log.info("stopping: runs write a checkpoint and end")
            controller.stop()
        else:
            log.info("the jobs continue without this command; --cancel ends them")
        raise
    except Stopped as stop:
        log.error(f"stopping: {stop}")
        controller.stop()
        return controller.registry.states(controller.plan)


def _watch(plan: Plan, registry: RunRegistry, lock: Path) -> dict[str, RunState] | None:
    """Show the sweep of another controller; returns its last states, or None if that controller ends before."""
    owner = holder(lock)
    if owner is None:
        return None
    log.info(f"attached: {owner} controls this sweep; Ctrl-C does not stop it")
    states: dict[str, RunState] = {}
    with Screen() as screen:
        while holder(lock) is not None:
            for run in plan.runs.values():
                before = states.get(run.id)
                if before is None or before.name not in ("done", "failed"):
                    states[run.id] = registry.state(run)
                    if before is None or before.name != states[run.id].name:
                        screen.report_change(run, before, states[run.id])
            registry.queue.read_cached()
            screen.show(plan, states, set())
            time.sleep(WATCH_SECONDS)
    states = registry.states(plan)
    return states if all(state.name in ("done", "failed") for state in states.values()) else None


def detach(console: Console, plan: Plan, registry: RunRegistry, words: list[str]) -> int:
    """Start the same command as a separate process that a logout does not end."""
    folder = registry.results / "sweeps" / plan.folder
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "controller.log"
    line = [sys.executable, "-u", str(Path(__file__).resolve().parents[1] / "run.py"), *words]
    with output.open("a") as out:
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    show(console, f"started as process {process.pid}; its output is in {output}")
    show(console, "the same command, here or elsewhere, attaches to it; --status shows its progress, --cancel ends it")
    return 0


def print_summary(console: Console, plan: Plan, states: Mapping[str, RunState], arguments: argparse.Namespace) -> int:
    """Print the results, the failures, the cost, and the next command; returns the exit code."""
    console.print(result_table(plan, states))
    failed = [run for run in plan.runs.values() if states[run.id].name == "failed"]
    for run in failed:
        failure = states[run.id].failure or {}
        where = folder_of(arguments.results, RUNS, run.id) / "failure.json"
        log.error(f"failed: {run.label}, seed {run.seed}: {failure.get('error')} (traceback in {where})")
    if failed:
        show(
            console,
            f"{len(failed)} of {len(plan.runs)} runs failed; the same command with --retry failed tries them again",
        )
    show(console, cost_line(plan, states))
    results, plot, table = arguments.results, script("analysis/plot.py"), script("analysis/table.py")
    show(console, f"next: {plot} {results}/ && {table} {results}/")
    return 1 if failed else 0


def handle_signals() -> None:
    """SIGTERM and a closed terminal (SIGHUP) end a controller as Ctrl-C does; under nohup SIGHUP stays ignored."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    if number == signal.SIGHUP:
        leave_terminal()
    raise KeyboardInterrupt
