"""Run a named ablation: `python sweeps/run.py mask_ratio`. The same command continues after any interruption.

A sweep of your own is a file that defines SWEEP (`python sweeps/run.py my_study.py`), or fields with their values
(`python sweeps/run.py --vary mask.video=0.5,0.75 --vary pretrain.lr=3e-3,6e-3`). Both work from any folder.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # started as a file: the repository, not this folder, is where modules are looked for
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from simvtp.cli import boundary, config_from
from simvtp.config.formats import parse_assignments
from simvtp.config.schema import Config
from simvtp.data.resolve import resolved
from simvtp.errors import ConfigError
from simvtp.runtime import heartbeat
from simvtp.runtime.log import stdout_console
from simvtp.training import trackers
from sweeps import catalogue, options
from sweeps.definition import Sweep
from sweeps.plan import Plan, Run, commands_of, equal_points, make_plan, saved_names, saved_sweep
from sweeps.scheduler import control, display
from sweeps.scheduler.display import plan_table, status_table
from sweeps.search_definition import Search
from sweeps.state.cost_estimate import forecast
from sweeps.state.other_code import differences, note, settle
from sweeps.state.run_states import RunRegistry, RunState, is_retried

if TYPE_CHECKING:
    from sweeps.executors.base import Executor

log = logging.getLogger("sweeps.run")  # not "__main__", which nobody shows


def main(words: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    words = sys.argv[1:] if words is None else words
    arguments = options.parser().parse_args(words)
    return boundary(lambda: _run_command(arguments, words))


def _run_command(arguments: argparse.Namespace, words: list[str]) -> int:
    console = stdout_console()
    if arguments.list:
        return show_list(console, config_from(arguments), arguments.results)
    options.check(arguments)
    base, seeds = resolved(config_from(arguments)), options.seeds_of(arguments.seeds)
    if "seed" in parse_assignments(arguments.assignments):
        raise ConfigError("--set seed: a sweep takes its seeds from --seeds")
    if arguments.scalars is not None:
        os.environ[trackers.VARIABLE] = arguments.scalars  # jobs inherit it
    trackers.wanted()
    if arguments.hung_after is not None:
        os.environ[heartbeat.VARIABLE] = str(60 * arguments.hung_after)
    heartbeat.limit_seconds()
    registry = RunRegistry(arguments.results)
    registry.check_readable()
    name, definition = find(arguments, base)
    if isinstance(definition, Search):
        from sweeps.search import run_search, spec  # Optuna takes a second to load: not for sweeps

        search = spec.parse_search(name, definition, arguments, base, seeds)
        return run_search.run_command(search, arguments, registry, console, words)
    for option in options.SEARCH_OPTIONS:
        if getattr(arguments, option) is not None:
            raise ConfigError(f"--{option}: that is for a search, such as {catalogue.searches()[0]}")
    return _run_sweep(make_plan(name, arguments.preset, base, seeds, definition), registry, arguments, console, words)


def find(arguments: argparse.Namespace, base: Config) -> tuple[str, Sweep | Search]:
    """The sweep or search of a command line: of --vary, a file, an ablation, or saved in the results by name."""
    if arguments.vary:
        return options.parse_vary(arguments.vary, in_pairs=arguments.zip, name=arguments.name)
    name = arguments.sweep
    if name is None:
        known = ", ".join([*catalogue.names(), *catalogue.searches()])
        raise ConfigError(f"name a sweep: one of {known}; or give a file of your own, or fields and values by --vary")
    if catalogue.is_file(name):
        return catalogue.from_file(name)
    if not catalogue.is_ablation(name):
        saved = saved_sweep(arguments.results, name, arguments.preset, base)
        if saved is not None:
            return name, saved
        if started := commands_of(arguments.results, name):
            raise ConfigError(
                f"{name}: {arguments.results}/sweeps/ has it with another --preset or --set; give those again, as in "
                f"{' or '.join(started[:3])}"
            )
    return name, catalogue.find(name)


def _run_sweep(
    plan: Plan, registry: RunRegistry, arguments: argparse.Namespace, console: Console, words: Sequence[str]
) -> int:
    """Run a command line for a sweep; returns the exit code."""
    if arguments.status:
        return show_status(console, plan, registry, watch=arguments.watch)
    if arguments.log is not None:
        return control.follow(console, registry, control.find_run(plan, arguments.log))
    if arguments.why is not None:
        return control.explain(console, plan, registry, control.find_run(plan, arguments.why))
    if arguments.cancel is not None:
        registry.check_writable()
        every = list(plan.runs.values())
        return control.cancel(
            console,
            plan,
            registry,
            every if arguments.cancel == "all" else [control.find_run(plan, arguments.cancel)],
        )
    return start(console, plan, registry, arguments, words)


def show_list(console: Console, base: Config, results: Path) -> int:
    """--list: the sweeps and searches of the repository, then those saved in the results folder."""
    for name in catalogue.names():
        sweep = catalogue.find_sweep(name)
        try:
            count = str(sum(len(catalogue.find_sweep(part).points_around(base)) for part in sweep.parts or (name,)))
            note = ""
        except ConfigError as error:
            count, note = "-", f" (not with this preset: {error})"
        display.show(console, f"{name:20} {count:>3} points  {sweep.title}{note}")
    for name in catalogue.searches():
        title = catalogue.find(name).title
        display.show(console, f"{name:20} {'':>3} search  {title}")
    for name, title in saved_names(results):
        display.show(console, f"{name:20} {'':>3} saved   {title}")
    return 0


def show_status(console: Console, plan: Plan, registry: RunRegistry, *, watch: bool) -> int:
    """--status: the table of runs, from their folders and the last answer of SLURM."""
    show = display.Screen(console) if watch and console.is_terminal else None
    with show or nullcontext():
        while True:
            registry.queue.refresh()
            states = registry.states(plan)
            if show is None:
                console.print(status_table(plan, states, most=None if not watch else console.height))
            else:
                show.update(status_table(plan, states, most=console.height))
            if not watch:
                display.show(console, note(differences(plan, registry.results)))
                return 0
            time.sleep(2)


def start(
    console: Console, plan: Plan, registry: RunRegistry, arguments: argparse.Namespace, words: Sequence[str]
) -> int:
    """Check the plan and run it here or detached; with --dry-run, only print it. Returns the exit code."""
    from sweeps.executors.choose import make_executor  # these take a while to load: not for --status
    from sweeps.scheduler import preflight

    threads = plan.base.machine.threads
    executor = make_executor(arguments.cluster, registry, plan.preset, arguments.jobs, threads, arguments.pack)
    if not arguments.dry_run:
        registry.check_writable()
    registry.queue.refresh()
    states = registry.states(plan)
    if arguments.retry is not None:
        states |= {run: RunState("waiting") for run, state in states.items() if is_retried(state, arguments.retry)}
    missing = [run for run in plan.runs.values() if states[run.id].name in ("waiting", "interrupted")]
    if arguments.dry_run:
        show_plan(console, plan, registry, states, missing, executor)
    redo = plan.base.machine.other_code == "redo"
    preflight.check(plan, list(plan.runs.values()) if redo else missing, registry, executor)
    if arguments.dry_run:
        return 0
    from sweeps.scheduler import run_sweep  # Optuna: not for --dry-run

    settle(plan, registry.results)
    for line in equal_points(plan):
        log.warning(line)
    if arguments.detach:
        return run_sweep.detach(console, plan, registry, [word for word in words if word != "--detach"])
    return run_sweep.run_sweep(plan, registry, executor, arguments, console, display.command_line(words))


def show_plan(
    console: Console, plan: Plan, registry: RunRegistry, states: Mapping[str, RunState], missing: list[Run],
    executor: Executor,
) -> None:  # fmt: skip
    """--dry-run: every run, the pre-training it shares, and what would be started or submitted."""
    console.print(plan_table(plan, states))
    stages = {run.stage for run in missing if run.stage is not None and not registry.is_pretrained(run.stage)}
    cached = sum(state.name == "done" for state in states.values())
    total = sum(len(table.ids) for table in plan.tables)
    lines = [
        f"{total} asked for, {len(plan.runs)} different; {cached} cached, {len(missing)} would start "
        f"with {len(stages)} pre-trainings; nothing was started",
        forecast(registry, plan.preset, missing),
        *executor.describe_plan(missing),
        *equal_points(plan),
        note(differences(plan, registry.results)),
    ]
    for line in lines:
        display.show(console, line)


if __name__ == "__main__":
    sys.exit(main())
