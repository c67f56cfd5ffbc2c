"""Commands for single runs: --why explains the state of a run, --log follows its output, --cancel ends it."""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from simvtp.config.schema import flatten
from simvtp.errors import ConfigError, nearest, printable
from simvtp.runtime.liveness import is_visible
from simvtp.runtime.locks import holder
from sweeps.plan import Plan, Run
from sweeps.scheduler.display import show
from sweeps.state.failures import read_deaths, read_failure, tail, write_failure
from sweeps.state.run_states import RunRegistry

log = logging.getLogger(__name__)

FOLLOW_SECONDS = 1.0


def find_run(plan: Plan, text: str) -> Run:
    """The run with this id, prefix of an id, or label; raises ConfigError if there is none or more than one."""
    runs = [run for run in plan.runs.values() if (text and run.id.startswith(text)) or run.label == text]
    if len(runs) == 1:
        return runs[0]
    if runs:
        names = ", ".join(f"{run.id} ({run.label}, seed {run.seed})" for run in runs[:6])
        raise ConfigError(f"run {text!r}: {len(runs)} runs of {plan.folder} match, such as {names}")
    known = [name for run in plan.runs.values() for name in (run.id, run.label)]
    raise ConfigError(f"run {text!r}: {plan.folder} has no such run{nearest(text, known)}; --status names them")


def output_of(registry: RunRegistry, run: Run) -> Path | None:
    """Output file of the run's last job; None if it has had no job."""
    written = [*(registry.folder(run.id) / "jobs").glob("*_log.out")]
    for kind, name in (("run", run.id), ("pretrain", run.stage)):
        claim = registry.submissions.claim(kind, name) if name else None
        if claim is not None:
            written += (registry.submissions.folder / claim.token).glob(f"*_{claim.task}_0_log.out")
    return max(written, key=lambda path: path.stat().st_mtime, default=None)


def follow(console: Console, registry: RunRegistry, run: Run) -> int:
    """Print the output of the run's last job and follow it until the run has ended; returns the exit code."""
    registry.queue.read_cached()
    path, shown = output_of(registry, run), 0
    if path is None:
        show(console, f"run {run.id} ({run.label}) has had no job yet: it is {registry.state(run).name}")
        return 1
    show(console, "\n".join(tail(path)))
    shown = path.stat().st_size
    while registry.state(run).name not in ("done", "failed"):
        time.sleep(FOLLOW_SECONDS)
        path_now = output_of(registry, run) or path
        if path_now != path:
            show(console, f"--- a new job: {path_now}")
            path, shown = path_now, 0
        with path.open(errors="replace") as file:
            file.seek(shown)
            new = file.read()
            shown = file.tell()
        if new:
            console.out(printable(new.replace("\r", "\n")), end="", highlight=False)
    show(console, f"--- run {run.id} is {registry.state(run).name}")
    return 0


def explain(console: Console, plan: Plan, registry: RunRegistry, run: Run) -> int:
    """Print the run's settings that differ from the base, its jobs and their ends, and its failure."""
    registry.queue.read_cached()
    state, base = registry.state(run), flatten(plan.base)

    show(console, f"run {run.id}: {run.label}, seed {run.seed}, of {plan.folder}: {state.name} {state.reason}".rstrip())
    changed = {key: value for key, value in flatten(run.config).items() if value != base[key]}
    show(
        console, "config: " + (", ".join(f"{k}={v} (base {base[k]})" for k, v in changed.items()) or "that of the base")
    )
    folders = {"run": registry.folder(run.id)}
    if run.stage is not None:
        users = plan.shared_stages().get(run.stage, [])
        made = "made" if registry.is_pretrained(run.stage) else "to be made"
        show(console, f"pre-training {run.stage}: {made}" + (f", shared by {len(users)} runs" if users else ""))
        folders["pre-training"] = registry.stage_folder(run.stage)
    claims = {name: registry.submissions.claim("run" if name == "run" else "pretrain", folder.name)
              for name, folder in folders.items()}  # fmt: skip
    jobs = {
        name: number for name, claim in claims.items() if (number := registry.submissions.number(claim)) is not None
    }
    accounts = registry.queue.accounting(list(jobs.values()))
    for name, folder in folders.items():
        owner = holder(folder / "lock")
        if owner is not None:
            show(console, f"{name}: at work in {owner}")
        if name in jobs:
            states = accounts.get(jobs[name], [])
            show(
                console,
                f"{name}: last submitted as job {jobs[name]}" + (": " + "; then ".join(states) if states else ""),
            )
        for death in read_deaths(folder):
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(death["time"]))
            job = f" ({death['job']})" if death["job"] else ""
            show(console, f"{name}: died {when} at {death['stage']} step {death['step']}{job}: {death['error']}")
    if state.failure is not None:
        lines = [state.failure.get("traceback", ""), *state.failure.get("log", [])[-20:]]
        show(console, f"failure, attempt {state.failure.get('attempts', 1)}: {state.failure['error']}")
        show(console, "\n".join(line.rstrip() for line in lines if line))
    path = output_of(registry, run)
    show(console, f"output: {path}" if path else "no job has written output yet")
    return 0


def cancel(console: Console, plan: Plan, registry: RunRegistry, runs: Sequence[Run]) -> int:
    """Mark unfinished runs as failed (--retry failed starts them again) and end their jobs, which write a checkpoint.

    A shared pre-training ends too if no other run of the plan needs it. Raises ConfigError, before anything is changed,
    if a run belongs to another user.
    """
    for run in runs:
        _check_user(registry, run)
    ended = []
    for run in runs:
        state = registry.state(run)
        if state.name in ("done", "failed"):
            continue
        write_failure(registry.folder(run.id), {
            "run": run.id, "stage": state.line.get("stage", ""), "step": state.line.get("step", 0),
            "error": f"Cancelled: by --cancel on {socket.gethostname()}", "kind": "cancelled", "traceback": "",
        })  # fmt: skip
        ended.append(run)
    stages = {run.stage for run in ended if run.stage is not None and not registry.is_pretrained(run.stage)}
    for run in plan.runs.values():
        if run.stage in stages and read_failure(registry.folder(run.id) / "failure.json") is None:
            stages.remove(run.stage)
    _end_jobs(registry, ended, stages)
    show(console, f"{len(ended)} runs are cancelled; --retry failed starts them again")
    return 0


def _check_user(registry: RunRegistry, run: Run) -> None:
    """Raise ConfigError if the run's process, job or folder belongs to another user: only that user can end it."""
    if os.geteuid() == 0 or registry.state(run).name in ("done", "failed"):
        return
    folder = registry.folder(run.id)
    for path in (folder / "lock", folder / "job.json", folder):
        try:
            user = path.stat().st_uid
        except FileNotFoundError:
            continue
        if user != os.geteuid():
            raise ConfigError(
                f"--cancel: run {run.id} ({run.label}) belongs to user {_user_name(user)}, who alone can cancel it; "
                "nothing was cancelled"
            )
        return


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _end_jobs(registry: RunRegistry, runs: Sequence[Run], stages: Collection[str]) -> None:
    """Signal processes of this machine and scancel jobs. The sweep's controller or the job itself ends the others."""
    numbers = set[str]()
    for run in runs:
        owner = holder(registry.folder(run.id) / "lock")
        if owner is not None and not owner.job and is_visible(owner):
            os.kill(owner.pid, signal.SIGTERM)
    for kind, name in (*(("run", run.id) for run in runs), *(("pretrain", stage) for stage in stages)):
        claim = registry.submissions.claim(kind, name)
        record = registry.submissions.read(claim.token) if claim is not None else None
        if claim is None or record is None or not record.job:
            continue
        (entry, *others) = record.entries[claim.task]
        if not others and entry["id"] == name:  # several in one job are stopped by the job itself
            numbers.add(record.number(claim.task))
    if numbers and shutil.which("scancel") is None:
        log.warning("there is no scancel on this machine: jobs end when the sweep's controller sees it")
    elif numbers:
        done = subprocess.run(["scancel", *sorted(numbers)], capture_output=True, text=True, check=False)
        if done.returncode:
            log.warning(f"scancel: {done.stderr.strip()}; jobs end when the sweep's controller sees it")
