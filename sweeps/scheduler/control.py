"""One run from outside: why it is where it is, what its job says, and its end by hand."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from simvtp.config.schema import flatten
from simvtp.errors import ConfigError, nearest
from simvtp.runtime.locks import holder
from sweeps.plan import Plan, Run
from sweeps.state.failures import deaths, fail, read_failure, tail
from sweeps.state.run_states import Ledger

FOLLOW_SECONDS = 1.0


def find_run(plan: Plan, text: str) -> Run:
    """The run of an id, of the beginning of one, or of a label; raises ConfigError."""
    found = [run for run in plan.runs.values() if run.id.startswith(text) or run.label == text]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{run.id} ({run.label}, seed {run.seed})" for run in found[:6])
        raise ConfigError(f"run {text!r}: {len(found)} runs of {plan.folder} are meant, such as {names}")
    known = [name for run in plan.runs.values() for name in (run.id, run.label)]
    raise ConfigError(f"run {text!r}: {plan.folder} has no such run{nearest(text, known)}; --status names them")


def output_of(ledger: Ledger, run: Run) -> Path | None:
    """The file that the run's last job wrote; None where it has had none."""
    written = [*(ledger.folder(run.id) / "jobs").glob("*_log.out")]
    for kind, name in (("run", run.id), ("pretrain", run.stage)):
        claim = ledger.submissions.claim(kind, name) if name else None
        if claim is not None:
            written += (ledger.submissions.folder / claim.token).glob(f"*_{claim.task}_0_log.out")
    return max(written, key=lambda path: path.stat().st_mtime, default=None)


def follow(ledger: Ledger, run: Run) -> int:
    """Print the output of the run's last job, and what comes to it until the run has ended."""
    ledger.queue.read()
    path, shown = output_of(ledger, run), 0
    if path is None:
        print(f"run {run.id} ({run.label}) has had no job yet: it is {ledger.state(run).name}")
        return 1
    print("\n".join(tail(path)), flush=True)
    shown = path.stat().st_size
    while ledger.state(run).name not in ("done", "failed"):
        time.sleep(FOLLOW_SECONDS)
        path_now = output_of(ledger, run) or path
        if path_now != path:
            print(f"--- a new job: {path_now}", flush=True)
            path, shown = path_now, 0
        with path.open(errors="replace") as file:
            file.seek(shown)
            new = file.read()
            shown = file.tell()
        if new:
            print(new, end="", flush=True)
    print(f"--- run {run.id} is {ledger.state(run).name}")
    return 0


def why(console: Console, plan: Plan, ledger: Ledger, run: Run) -> int:
    """What the run differs in from the sweep's base, what became of its jobs, and its failure."""
    ledger.queue.read()
    state, base = ledger.state(run), flatten(plan.base)

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say(f"run {run.id}: {run.label}, seed {run.seed}, of {plan.folder}: {state.name} {state.reason}".rstrip())
    changed = {key: value for key, value in flatten(run.config).items() if value != base[key]}
    say("config: " + (", ".join(f"{k}={v} (base {base[k]})" for k, v in changed.items()) or "that of the base"))
    folders = {"run": ledger.folder(run.id)}
    if run.stage is not None:
        users = plan.shared_stages().get(run.stage, [])
        made = "made" if ledger.made(run.stage) else "to be made"
        say(f"pre-training {run.stage}: {made}" + (f", shared by {len(users)} runs" if users else ""))
        folders["pre-training"] = ledger.stage_folder(run.stage)
    claims = {name: ledger.submissions.claim("run" if name == "run" else "pretrain", folder.name)
              for name, folder in folders.items()}  # fmt: skip
    jobs = {name: number for name, claim in claims.items() if (number := ledger.submissions.number(claim)) is not None}
    accounts = ledger.queue.accounts(list(jobs.values()))
    for name, folder in folders.items():
        owner = holder(folder / "lock")
        if owner is not None:
            say(f"{name}: at work in {owner}")
        if name in jobs:
            states = accounts.get(jobs[name], [])
            say(f"{name}: last submitted as job {jobs[name]}" + (": " + "; then ".join(states) if states else ""))
        for death in deaths(folder):
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(death["time"]))
            job = f" ({death['job']})" if death["job"] else ""
            say(f"{name}: died {when} at {death['stage']} step {death['step']}{job}: {death['error']}")
    if state.failure is not None:
        lines = [state.failure.get("traceback", ""), *state.failure.get("log", [])[-20:]]
        say(f"failure, attempt {state.failure.get('attempts', 1)}: {state.failure['error']}")
        say("\n".join(line.rstrip() for line in lines if line))
    path = output_of(ledger, run)
    say(f"output: {path}" if path else "no job has written output yet")
    return 0


def cancel(plan: Plan, ledger: Ledger, runs: Sequence[Run]) -> int:
    """End runs that are not done, for good: until --retry failed. Jobs at work write a checkpoint first.

    A shared pre-training that no other run of the plan waits for ends with them.
    """
    ended = []
    for run in runs:
        state = ledger.state(run)
        if state.name in ("done", "failed"):
            continue
        fail(ledger.folder(run.id), {
            "run": run.id, "stage": state.line.get("stage", ""), "step": state.line.get("step", 0),
            "error": f"Cancelled: by --cancel on {socket.gethostname()}", "kind": "cancelled", "traceback": "",
        })  # fmt: skip
        ended.append(run)
    stages = {run.stage for run in ended if run.stage is not None and not ledger.made(run.stage)}
    for run in plan.runs.values():
        if run.stage in stages and read_failure(ledger.folder(run.id) / "failure.json") is None:
            stages.remove(run.stage)
    _end_jobs(ledger, ended, stages)
    print(f"{len(ended)} runs are cancelled; --retry failed starts them again")
    return 0


def _end_jobs(ledger: Ledger, runs: Sequence[Run], stages: Collection[str]) -> None:
    """Signal what is at work here, scancel what SLURM has; elsewhere the sweep's controller, or the job, sees to it."""
    numbers = set[str]()
    for run in runs:
        owner = holder(ledger.folder(run.id) / "lock")
        if owner is not None and not owner.job and owner.host == socket.gethostname():
            os.kill(owner.pid, signal.SIGTERM)
    for kind, name in (*(("run", run.id) for run in runs), *(("pretrain", stage) for stage in stages)):
        claim = ledger.submissions.claim(kind, name)
        record = ledger.submissions.read(claim.token) if claim is not None else None
        if claim is None or record is None or not record.job:
            continue
        (entry, *others) = record.entries[claim.task]
        if not others and entry["id"] == name:  # several in one job are stopped by the job itself
            numbers.add(record.number(claim.task))
    if numbers and shutil.which("scancel") is None:
        print("there is no scancel on this machine: jobs end when the sweep's controller sees it", file=sys.stderr)
    elif numbers:
        subprocess.run(["scancel", *sorted(numbers)], check=False)
