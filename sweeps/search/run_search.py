"""The command `python sweeps/run.py search`: start, status, cancel. Resumable after any kill."""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from simvtp.errors import ConfigError
from simvtp.runtime.locks import Busy, Lock, holder
from sweeps.executors.base import Executor
from sweeps.executors.choose import make_executor
from sweeps.plan import Plan
from sweeps.scheduler import control, preflight
from sweeps.scheduler.display import Screen, command_line, show
from sweeps.scheduler.run_sweep import detach, handle_signals, run_controller
from sweeps.search.controller import CANCELLED, SearchController
from sweeps.search.display import describe_search, search_table, sum_up, with_runs
from sweeps.search.spec import SearchSpec, example_plan
from sweeps.search.trials import Trials
from sweeps.state.other_code import differences, note, settle_search
from sweeps.state.run_states import RunRegistry, is_retried
from sweeps.study.storage import VARIABLE

log = logging.getLogger(__name__)

WATCH_SECONDS = 5.0


def run_command(
    spec: SearchSpec, arguments: argparse.Namespace, registry: RunRegistry, console: Console, words: Sequence[str]
) -> int:
    """Run a command line for a search; returns the exit code."""
    if arguments.status:
        return show_status(console, spec, registry, watch=arguments.watch)
    for name in ("log", "why"):
        if getattr(arguments, name) is not None:
            plan = with_runs(spec.plan(), spec.study_copy(registry))
            run = control.find_run(plan, getattr(arguments, name))
            return (
                control.follow(console, registry, run)
                if name == "log"
                else control.explain(console, plan, registry, run)
            )
    if arguments.cancel is not None:
        registry.check_writable()
        return cancel(console, spec, registry, arguments.cancel)
    return start(console, spec, registry, arguments, words)


def start(
    console: Console, spec: SearchSpec, registry: RunRegistry, arguments: argparse.Namespace, words: Sequence[str]
) -> int:
    """Check the search and run it here or detached; with --dry-run, only print the plan. Returns the exit code."""
    executor = make_executor(arguments.cluster, registry, spec.preset, arguments.jobs,
                             spec.space.base.machine.threads, arguments.pack)  # fmt: skip
    if arguments.dry_run:
        trials = spec.study_copy(registry)
        for line in describe_search(spec.space, trials, spec.trials):
            show(console, line)
        show(console, note(differences(with_runs(spec.plan(), trials), registry.results), redo=False))
    else:
        registry.check_writable()
    if spec.space.base_params() is None:
        log.warning("the base config is not in the search space, so it is not one of the trials")
    plan = example_plan(spec)
    preflight.check(plan, list(plan.runs.values()), registry, executor)
    if arguments.dry_run:
        return 0
    settle_search(_begun(spec, registry), registry.results)
    if arguments.detach:
        if spec.database is not None:
            os.environ[VARIABLE] = spec.database.url.render_as_string(hide_password=False)
        return detach(console, spec.plan(), registry, [word for word in words if word != "--detach"])
    return search(spec, registry, executor, arguments, console, command_line(words))


def _begun(spec: SearchSpec, registry: RunRegistry) -> Plan:
    """The plan of the runs so far. It is empty if the journal is damaged: the study is then rebuilt later."""
    try:
        return with_runs(spec.plan(), spec.study_copy(registry))
    except ConfigError:
        if spec.database is not None:
            raise
        return spec.plan()


def show_status(console: Console, spec: SearchSpec, registry: RunRegistry, *, watch: bool) -> int:
    """Show the table of trials (--status), repeatedly with `watch`; returns the exit code."""
    screen = Screen(console) if watch and console.is_terminal else None
    with screen or nullcontext():
        while True:
            registry.queue.refresh()
            trials = spec.study_copy(registry)
            plan = with_runs(spec.plan(), trials)
            states = registry.states(plan)
            if screen is None:
                console.print(search_table(plan, trials, states, most=console.height if watch else None))
            else:
                screen.update(search_table(plan, trials, states, most=console.height))
            if not watch:
                show(console, note(differences(plan, registry.results), redo=False))
                return 0
            time.sleep(WATCH_SECONDS)


def cancel(console: Console, spec: SearchSpec, registry: RunRegistry, which: str) -> int:
    """Cancel one run, whose trial then fails, or with "all" every run, after which no more points are drawn."""
    plan = with_runs(spec.plan(), spec.study_copy(registry))
    if which != "all":
        return control.cancel(console, plan, registry, [control.find_run(plan, which)])
    mark = registry.results / "sweeps" / spec.folder / CANCELLED
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return control.cancel(console, plan, registry, list(plan.runs.values()))


def search(
    spec: SearchSpec, registry: RunRegistry, executor: Executor, arguments: argparse.Namespace, console: Console,
    command: str,
) -> int:  # fmt: skip
    """Control the search and print its summary; returns the exit code. Waits while another controller has the lock."""
    lock = registry.results / "sweeps" / spec.folder / "lock"
    handle_signals()
    while True:
        try:
            with Lock(lock):
                trials = _control(spec, registry, executor, arguments, command)
            break
        except Busy:
            _wait_for_other(lock)
    return sum_up(console, spec.plan(), trials, registry)


def _control(
    spec: SearchSpec, registry: RunRegistry, executor: Executor, arguments: argparse.Namespace, command: str
) -> Trials:
    """Run the controller; the caller holds the search's lock."""
    trials = spec.study(registry)
    (registry.results / "sweeps" / spec.folder / CANCELLED).unlink(missing_ok=True)
    if trials.chosen < spec.trials or any(trials.running()) or arguments.retry:
        preflight.prepare_corpora(example_plan(spec))
    for trial in trials.failed():
        runs = [run for rung in trial.rungs for run in rung]
        retried = [run for run in runs if is_retried(registry.state(run), arguments.retry)]
        for run in retried:
            registry.retry(run)
        if retried:
            trials.retry(trial)
    run_controller(SearchController(spec, registry, trials, executor, command))
    trials.close()
    return trials


def _wait_for_other(lock: Path) -> None:
    owner = holder(lock)
    if owner is not None:
        log.info(f"attached: {owner} controls this search; Ctrl-C does not stop it")
    while holder(lock) is not None:
        time.sleep(WATCH_SECONDS)
