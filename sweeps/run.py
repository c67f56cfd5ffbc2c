"""Run a named ablation: `python sweeps/run.py mask_ratio`. The same command goes on after any interruption."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType

if __name__ == "__main__":  # started as a file: the repository, not this folder, is where modules are looked for
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from simvtp.arguments import add_config_arguments, config_from
from simvtp.config import Config, parse_assignments
from simvtp.data.errors import DataError
from simvtp.locks import Busy, Lock
from simvtp.validation import ConfigError
from sweeps import screen
from sweeps.definition import find, names
from sweeps.ledger import Ledger, State
from sweeps.plan import Plan, make_plan
from sweeps.screen import Screen, plan_table, result_table, status_table

EPILOG = "exit codes: 0 all done; 1 some runs failed; 2 bad input; 3 another controller is at it; 130 interrupted"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python sweeps/run.py", description=__doc__, epilog=EPILOG)
    made.add_argument("sweep", nargs="?", help="name of the sweep; --list shows them")
    add_config_arguments(made)
    made.add_argument("--seeds", default="0", metavar="0,1,2", help="seeds of every point (0)")
    made.add_argument(
        "--cluster", default="auto", metavar="WHERE", help="auto, local, debug, slurm, or a file in clusters/ (auto)"
    )
    made.add_argument("--jobs", type=int, metavar="N", help="runs at once (here: cores / threads of a run)")
    made.add_argument("--pack", type=int, metavar="N", help="runs side by side in one job of SLURM (1)")
    made.add_argument("--dry-run", action="store_true", help="print every run and what would start, and end")
    made.add_argument("--list", action="store_true", help="print the sweeps, and end")
    made.add_argument("--status", action="store_true", help="print what became of every run, and end")
    made.add_argument("--retry", choices=["failed"], help="try failed runs again")
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
    arguments = parser().parse_args(words)
    console = screen.console()
    try:
        if arguments.list:
            return show_list(console, config_from(arguments))
        if arguments.sweep is None:
            raise ConfigError(f"name a sweep: one of {', '.join(names())}")
        for name in ("jobs", "pack"):
            if (count := getattr(arguments, name)) is not None and count < 1:
                raise ConfigError(f"--{name} {count}: it takes a whole number from 1")
        base, seeds = config_from(arguments), seeds_of(arguments.seeds)
        if "seed" in parse_assignments(arguments.assignments):
            raise ConfigError("--set seed: a sweep takes its seeds from --seeds")
        plan = make_plan(arguments.sweep, arguments.preset, base, seeds)
        ledger = Ledger(arguments.results)
        if arguments.dry_run or arguments.status:
            ledger.check_readable()
            states = {run.id: ledger.state(run) for run in plan.runs.values()}
            if arguments.retry == "failed":
                states |= {run: State("waiting") for run, state in states.items() if state.name == "failed"}
            return show_states(console, plan, states, dry=arguments.dry_run)
        ledger.check_writable()
        return bring_about(plan, ledger, arguments, console)
    except (ConfigError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except Busy as error:
        print(f"busy: {error}; it does this sweep already. --status shows how far it is", file=sys.stderr)
        return 3


def show_list(console: Console, base: Config) -> int:
    for name in names():
        sweep = find(name)
        try:
            count = str(sum(len(find(part).points(base)) for part in sweep.parts or (name,)))
            note = ""
        except ConfigError as error:
            count, note = "-", f" (not with this preset: {error})"
        console.print(f"{name:20} {count:>3} points  {sweep.title}{note}", highlight=False, soft_wrap=True)
    return 0


def show_states(console: Console, plan: Plan, states: dict[str, State], *, dry: bool) -> int:
    """--dry-run and --status."""
    if not dry:
        console.print(status_table(plan, states))
        return 0
    console.print(plan_table(plan, states))
    start = [run for run in plan.runs.values() if states[run.id].name in ("waiting", "interrupted")]
    stages = {run.stage for run in start if run.stage is not None}
    cached = sum(state.name == "done" for state in states.values())
    asked = sum(len(table.runs) for table in plan.tables)
    console.print(
        f"{asked} asked for, {len(plan.runs)} different; {cached} cached, {len(start)} would start "
        f"with {len(stages)} pre-trainings; nothing was started",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    return 0


def bring_about(plan: Plan, ledger: Ledger, arguments: argparse.Namespace, console: Console) -> int:
    """Start, wait, record, and say how it ended."""
    from sweeps.controller import Controller, Stopped
    from sweeps.launch import place
    from sweeps.study import Study

    threads = plan.base.machine.threads
    where = place(arguments.cluster, ledger, plan.preset, arguments.jobs, threads, arguments.pack)
    folder = ledger.results / "sweeps" / plan.folder
    signal.signal(signal.SIGTERM, _interrupt)
    with Lock(folder / "lock"):
        command = shlex.join(["python", "sweeps/run.py", *(sys.argv[1:])])
        ledger.write_sweeps(plan, command)
        before = {run.id: ledger.state(run).name for run in plan.runs.values()}
        retried = [run for run, name in before.items() if name == "failed" and arguments.retry == "failed"]
        if retried or {"waiting", "interrupted"} & set(before.values()):
            prepare(plan)
        for run_id in retried:  # after the corpora are known to be there
            ledger.retry(plan.runs[run_id])
        controller = Controller(plan, ledger, Study(folder, plan), where, Screen())
        try:
            states = controller.run()
        except KeyboardInterrupt:
            if where.stop_with_controller:
                print("\nstopping: runs write a checkpoint and end", file=sys.stderr, flush=True)
                controller.stop()
            else:
                print("\nthe jobs go on without this command; --cancel ends them", file=sys.stderr, flush=True)
            raise
        except Stopped as stop:
            print(f"stopping: {stop}", file=sys.stderr, flush=True)
            controller.stop()
            states = {run.id: ledger.state(run) for run in plan.runs.values()}
    return finish(console, plan, states, arguments)


def prepare(plan: Plan) -> None:
    """Make or check the corpora before any job needs them, so that jobs do not wait for each other."""
    from simvtp.data.corpora import EXTRA_TESTS, load
    from simvtp.data.loading import Clips

    wanted: dict[tuple[str, str], bool] = {}
    for run in plan.runs.values():
        data, cache = run.config.data, run.config.machine.frame_cache
        if run.stage is not None:
            wanted[data.pretrain, "pretrain"] = cache
        extra = EXTRA_TESTS.get(data.finetune.partition(":")[0], ())
        wanted |= {(data.finetune, split): cache for split in ("train", "val", "test", *extra)}
    for (spec, split), cache in wanted.items():
        Clips(load(spec, split), cache)


def finish(console: Console, plan: Plan, states: dict[str, State], arguments: argparse.Namespace) -> int:
    """The table, what failed, and what to type next."""
    console.print(result_table(plan, states))
    failed = [run for run in plan.runs.values() if states[run.id].name == "failed"]
    for run in failed:
        failure = states[run.id].failure or {}
        where = arguments.results / "runs" / run.id / "failure.json"
        print(f"failed: {run.label}, seed {run.seed}: {failure.get('error')} (traceback in {where})", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(plan.runs)} runs failed; the same command with --retry failed tries them again")
    print(f"next: python analysis/plot.py {arguments.results}/ && python analysis/table.py {arguments.results}/")
    return 1 if failed else 0


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
