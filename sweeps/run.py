"""Run a named ablation: `python sweeps/run.py mask_ratio`. The same command goes on after any interruption."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # started as a file: the repository, not this folder, is where modules are looked for
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from simvtp.cli import Parser, add_config_arguments, boundary, config_from
from simvtp.config import tracker_names
from simvtp.config.formats import parse_assignments
from simvtp.config.schema import Config
from simvtp.data.resolve import resolved
from simvtp.errors import ConfigError
from simvtp.runtime import heartbeat
from simvtp.runtime.log import stdout_console
from sweeps.definition import find_search, find_sweep, names, searches
from sweeps.plan import Plan, Run, equal_points, make_plan
from sweeps.scheduler import control, display
from sweeps.scheduler.display import plan_table, status_table
from sweeps.state.cost_estimate import forecast
from sweeps.state.other_code import differences, note, settle
from sweeps.state.run_states import RunRegistry, RunState, is_retried

if TYPE_CHECKING:
    from sweeps.executors.base import Executor

log = logging.getLogger("sweeps.run")  # not "__main__", which nobody shows

SEARCH_OPTIONS = ("trials", "rungs", "budget", "over", "storage")
EPILOG = "exit codes: 0 all done; 1 some runs failed; 2 bad input; 130 interrupted"


def parser() -> argparse.ArgumentParser:
    made = Parser(prog="python sweeps/run.py", description=__doc__, epilog=EPILOG)
    made.add_argument("sweep", nargs="?", help="name of the sweep; --list shows them")
    add_config_arguments(made)
    made.add_argument("--seeds", default="0", metavar="0,1,2", help="seeds of every point (0)")
    made.add_argument(
        "--cluster", default="auto", metavar="WHERE", help="auto, local, debug, slurm, or a file in clusters/ (auto)"
    )
    made.add_argument("--jobs", type=int, metavar="N", help="runs at once (here: cores / threads of a run)")
    made.add_argument("--pack", type=int, metavar="N", help="runs side by side in one job of SLURM (1)")
    made.add_argument("--trials", type=int, metavar="N", help="of a search: points to try in all (40)")
    made.add_argument("--rungs", metavar="SHARES", help="of a search: budgets at which to prune (1/9,1/3,1)")
    made.add_argument("--budget", choices=["length", "data"], help="of a search: what the shares are of (length)")
    made.add_argument("--over", metavar="KEYS", help="of a search: only these of its fields, with commas")
    made.add_argument(
        "--storage",
        metavar="URL",
        help="of a search: a database (or $SIMVTP_STORAGE)",
    )
    made.add_argument("--scalars", metavar="KINDS", help="where else to show curves: tensorboard, wandb or both")
    made.add_argument(
        "--hung-after",
        type=float,
        metavar="MINUTES",
        help="kill and retry a job without a step for so long (30)",
    )
    made.add_argument("--dry-run", action="store_true", help="check, print every run and what would start, and end")
    made.add_argument("--list", action="store_true", help="print the sweeps, and end")
    made.add_argument("--status", action="store_true", help="print what became of every run, and end")
    made.add_argument("--watch", action="store_true", help="with --status: again and again, until Ctrl-C")
    made.add_argument("--detach", action="store_true", help="go on in the background, also after a logout")
    made.add_argument("--retry", choices=["failed", "lost"], help="try failed runs again, or those whose jobs vanished")
    made.add_argument("--log", metavar="RUN", help="print the output of a run's last job, and follow it")
    made.add_argument("--why", metavar="RUN", help="what a run differs in, what became of its jobs, why it failed")
    made.add_argument(
        "--cancel", metavar="RUN", nargs="?", const="all", help="end one run, or all of the sweep that are not done"
    )
    return made


def seeds_of(text: str) -> tuple[int, ...]:
    """ "0,1,2" -> (0, 1, 2); raises ConfigError."""
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"--seeds {text!r}: write different whole numbers from 0 with commas, such as 0,1,2")
    return seeds


def main(words: list[str] | None = None) -> int:
    """The command; gives its exit code."""
    words = sys.argv[1:] if words is None else words
    arguments = parser().parse_args(words)
    return boundary(lambda: _run_command(arguments, words))


def _run_command(arguments: argparse.Namespace, words: list[str]) -> int:
    console = stdout_console()
    if arguments.list:
        return show_list(console, config_from(arguments))
    if arguments.sweep is None:
        raise ConfigError(f"name a sweep: one of {', '.join([*names(), *searches()])}")
    if arguments.watch and not arguments.status:
        raise ConfigError("--watch: it goes with --status, and starts nothing; without both the sweep starts")
    for name in ("jobs", "pack", "trials"):
        if (count := getattr(arguments, name)) is not None and count < 1:
            raise ConfigError(f"--{name} {count}: it takes a whole number from 1")
    base, seeds = resolved(config_from(arguments)), seeds_of(arguments.seeds)
    if "seed" in parse_assignments(arguments.assignments):
        raise ConfigError("--set seed: a sweep takes its seeds from --seeds")
    if arguments.scalars is not None:
        os.environ[tracker_names.VARIABLE] = arguments.scalars  # jobs inherit it
    tracker_names.wanted()
    if arguments.hung_after is not None:
        if not 0 <= arguments.hung_after < float("inf"):
            raise ConfigError(f"--hung-after {arguments.hung_after:g}: it takes minutes, such as 30, or 0 for no limit")
        os.environ[heartbeat.VARIABLE] = str(60 * arguments.hung_after)
    heartbeat.limit_seconds()
    registry = RunRegistry(arguments.results)
    registry.check_readable()
    if arguments.sweep in searches():
        from sweeps.search import run_search  # Optuna takes a second to load: not for sweeps

        return run_search.run_command(arguments, base, seeds, registry, console, words)
    for name in SEARCH_OPTIONS:
        if getattr(arguments, name) is not None:
            raise ConfigError(f"--{name}: that is for a search, such as {searches()[0]}")
    plan = make_plan(arguments.sweep, arguments.preset, base, seeds)
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


def show_list(console: Console, base: Config) -> int:
    for name in names():
        sweep = find_sweep(name)
        try:
            count = str(sum(len(find_sweep(part).points(base)) for part in sweep.parts or (name,)))
            note = ""
        except ConfigError as error:
            count, note = "-", f" (not with this preset: {error})"
        display.show(console, f"{name:20} {count:>3} points  {sweep.title}{note}")
    for name in searches():
        display.show(console, f"{name:20} {'':>3} search  {find_search(name).title}")
    return 0


def show_status(console: Console, plan: Plan, registry: RunRegistry, *, watch: bool) -> int:
    """--status: one screen, from the folder and the last words of SLURM."""
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
    """Check the plan, then start it: here, detached, or, with --dry-run, not at all; gives the exit code."""
    from sweeps.executors.choose import make_executor  # Submitit takes a second to load: not for --status
    from sweeps.scheduler import preflight, run_sweep

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
    settle(plan, registry.results)
    for line in equal_points(plan):
        log.warning(line)
    if arguments.detach:
        return run_sweep.detach(console, plan, registry, [word for word in words if word != "--detach"])
    command = shlex.join(["python", "sweeps/run.py", *words])
    return run_sweep.run_sweep(plan, registry, executor, arguments, console, command)


def show_plan(
    console: Console, plan: Plan, registry: RunRegistry, states: Mapping[str, RunState], missing: list[Run],
    executor: Executor,
) -> None:  # fmt: skip
    """--dry-run: every run, what it shares, and what would be started or submitted."""
    console.print(plan_table(plan, states))
    stages = {run.stage for run in missing if run.stage is not None and not registry.is_pretrained(run.stage)}
    cached = sum(state.name == "done" for state in states.values())
    asked = sum(len(table.ids) for table in plan.tables)
    lines = [
        f"{asked} asked for, {len(plan.runs)} different; {cached} cached, {len(missing)} would start "
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
