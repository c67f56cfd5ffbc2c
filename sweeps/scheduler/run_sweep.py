"""A sweep from the command to its end: as its controller, beside the one that is at it, or left behind in the night."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from rich.console import Console

from simvtp.config.run_dirs import RUNS, home
from simvtp.runtime.locks import Busy, Lock, holder
from sweeps.executors.base import Place, place
from sweeps.plan import Plan
from sweeps.scheduler.controller import Controller, Stopped
from sweeps.scheduler.display import Screen, result_table
from sweeps.state.cost_estimate import bill
from sweeps.state.run_states import Ledger, State, States, is_retried
from sweeps.study.grid_study import Study

WATCH_SECONDS = 2.0


def bring_about(plan: Plan, ledger: Ledger, arguments: argparse.Namespace, console: Console, command: str) -> int:
    """Start, wait, record, and say how it ended; gives the exit code.

    Where another controller is at this sweep already, show what it does, and take over should it die.
    """
    threads = plan.base.machine.threads
    where = place(arguments.cluster, ledger, plan.preset, arguments.jobs, threads, arguments.pack)
    folder = ledger.results / "sweeps" / plan.folder
    heed_signals()
    while True:
        try:
            with Lock(folder / "lock"):
                states = _control(plan, ledger, where, arguments, command)
            break
        except Busy:
            found = _watch(plan, ledger, folder / "lock")
            if found is not None:
                states = found
                break
    return finish(console, plan, states, arguments)


def _control(plan: Plan, ledger: Ledger, where: Place, arguments: argparse.Namespace, command: str) -> States:
    """Be the sweep's controller; the caller holds its lock."""
    ledger.write_sweeps(plan, command)
    ledger.prepare(plan.runs.values())
    _begin(plan, ledger, arguments.retry)
    study = Study(ledger.results / "sweeps" / plan.folder, plan)
    return drive(Controller(plan, ledger, study, where, Screen()))


def _begin(plan: Plan, ledger: Ledger, retry: str | None) -> None:
    """See to the corpora where there is something to train, and let failed runs be tried again."""
    before = ledger.states(plan)
    retried = [run for run, state in before.items() if is_retried(state, retry)]
    if retried or any(state.name in ("waiting", "interrupted") for state in before.values()):
        prepare(plan)
    for run in retried:  # after the corpora are known to be there
        ledger.retry(plan.runs[run])


def drive(controller: Controller) -> States:
    """Let a controller run to its end, to Ctrl-C, or until it stops since all fails; gives the last states."""
    where = controller.place
    try:
        return controller.run()
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
        return controller.ledger.states(controller.plan)


def _watch(plan: Plan, ledger: Ledger, lock: Path) -> States | None:
    """Show the sweep that another controller does; its last states, or None where that controller is gone before."""
    owner = holder(lock)
    if owner is None:
        return None
    print(f"attached: {owner} does this sweep; Ctrl-C leaves it at work", file=sys.stderr, flush=True)
    states = States()
    with Screen() as screen:
        while holder(lock) is not None:
            for run in plan.runs.values():
                before = states.get(run.id)
                if before is None or before.name not in ("done", "failed"):
                    states[run.id] = ledger.state(run)
                    if before is None or before.name != states[run.id].name:
                        screen.say(run, before, states[run.id])
            ledger.queue.read()
            screen.show(plan, states, set())
            time.sleep(WATCH_SECONDS)
    states = ledger.states(plan)
    return states if all(state.name in ("done", "failed") for state in states.values()) else None


def detach(plan: Plan, ledger: Ledger, words: list[str]) -> int:
    """Start the same command as a process of its own, which a logout does not end."""
    folder = ledger.results / "sweeps" / plan.folder
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "controller.log"
    line = [sys.executable, "-u", str(Path(__file__).resolve().parents[1] / "run.py"), *words]
    with log.open("a") as out:
        process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    print(f"process {process.pid} does it; its words are in {log}")
    print("the same command, here or elsewhere, attaches to it; --status shows how far it is, --cancel ends it")
    return 0


def prepare(plan: Plan) -> None:
    """Make or check the corpora before any job needs them, so that jobs do not wait for each other."""
    from simvtp.data.corpora.registry import EXTRA_TESTS, load
    from simvtp.data.train_loader import ClipReader

    wanted: dict[tuple[str, str], bool] = {}
    for run in plan.runs.values():
        data, cache = run.config.data, run.config.machine.frame_cache
        if run.stage is not None:
            wanted[data.pretrain, "pretrain"] = cache
        extra = EXTRA_TESTS.get(data.finetune.partition(":")[0], ())
        wanted |= {(data.finetune, split): cache for split in ("train", "val", "test", *extra)}
    for (spec, split), cache in wanted.items():
        ClipReader(load(spec, split), cache)


def finish(console: Console, plan: Plan, states: Mapping[str, State], arguments: argparse.Namespace) -> int:
    """The table, what failed, what it cost, and what to type next."""
    console.print(result_table(plan, states))
    failed = [run for run in plan.runs.values() if states[run.id].name == "failed"]
    for run in failed:
        failure = states[run.id].failure or {}
        where = home(arguments.results, RUNS, run.id) / "failure.json"
        print(f"failed: {run.label}, seed {run.seed}: {failure.get('error')} (traceback in {where})", file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(plan.runs)} runs failed; the same command with --retry failed tries them again")
    print(bill(plan, states))
    print(f"next: python analysis/plot.py {arguments.results}/ && python analysis/table.py {arguments.results}/")
    return 1 if failed else 0


def heed_signals() -> None:
    """SIGTERM and a lost terminal end a controller as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt
