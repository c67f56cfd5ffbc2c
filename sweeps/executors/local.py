"""This machine as a place: jobs of Submitit with cores and GPUs of their own, or this very process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import submitit

from simvtp.config.schema import flatten
from sweeps.executors.code_snapshot import take
from sweeps.executors.task import Work
from sweeps.plan import Run
from sweeps.state.run_states import Ledger

A_YEAR_MINUTES = 365 * 24 * 60
STOP_SECONDS = 60.0


def visible_gpus() -> list[int]:
    """GPUs of this machine that this process may use, without loading torch; Submitit gives a job none unasked."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [int(part) for part in named.split(",") if part.strip().isdigit()]
    if shutil.which("nvidia-smi") is None:
        return []
    found = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return list(range(found.stdout.count("UUID"))) if found.returncode == 0 else []


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started within are born ignoring SIGINT.

    Ctrl-C reaches the whole process group, and Submitit's process beside each job would kill the job a second later,
    in the middle of its checkpoint. Born deaf, it waits. The run itself listens: training sets a handler of its own.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def surroundings(environment: Mapping[str, str], cores: Sequence[int]) -> Iterator[None]:
    """Processes started within are born with these variables and, where cores are named, on these cores alone."""
    before = {name: os.environ.get(name) for name in environment}
    own = os.sched_getaffinity(0)
    os.environ.update(environment)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


class Local:
    """Processes of this machine, `jobs` at once, each on cores and a GPU of its own as far as there are enough."""

    poll_seconds = 0.5
    stop_with_controller = True
    queues = False

    def __init__(self, ledger: Ledger, preset: str, jobs: int) -> None:
        self.ledger, self.preset, self.capacity = ledger, preset, jobs
        self.gpus, self.cores = visible_gpus(), sorted(os.sched_getaffinity(0))
        self.holders: list[tuple[Any, int]] = []  # job, and its place among `jobs`

    def attach(self, runs: Sequence[Run]) -> dict[str, Any]:
        """None: what an earlier controller left at work here is seen by the locks it holds."""
        if runs:
            take(self.ledger.results)  # what the sweep begins with, not what is edited before a run is started
        return {}

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        jobs = {}
        code = take(self.ledger.results)
        for run in runs:
            slot = self._free_slot()
            executor = submitit.LocalExecutor(self.ledger.folder(run.id) / "jobs")
            executor.update_parameters(timeout_min=A_YEAR_MINUTES, stderr_to_stdout=True)
            if self.gpus:
                executor.update_parameters(gpus_per_node=1, visible_gpus=[self.gpus[slot % len(self.gpus)]])
            # Else Python would look for code in the folder that the command is given in before the copy.
            path = os.pathsep.join([str(code), *filter(None, [os.environ.get("PYTHONPATH")])])
            environment = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
            threads = run.config.machine.threads
            if threads:
                environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
            with deaf_to_ctrl_c(), surroundings(environment, self.cores_of(slot)):
                jobs[run.id] = executor.submit(work_of(run, self.ledger, self.preset))
            self.holders.append((jobs[run.id], slot))
        return jobs

    def _free_slot(self) -> int:
        self.holders = [(job, slot) for job, slot in self.holders if not self.over(job)]
        taken = {slot for _, slot in self.holders}
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def cores_of(self, slot: int) -> Sequence[int]:
        """An equal share of the cores for each of the runs at once; all of them where they are fewer than the runs."""
        share = len(self.cores) // self.capacity
        return self.cores[slot * share : (slot + 1) * share] if share and slot < self.capacity else self.cores

    def intended(self, runs: Sequence[Run]) -> list[str]:
        return [f"would start {len(runs)} processes on this machine, {self.capacity} at once"] if runs else []

    def waits(self, job: Any) -> bool:  # noqa: ARG002
        return False

    def outside(self, job: Any) -> bool:  # noqa: ARG002
        return False

    def described(self, job: Any) -> str:
        return f"process {job.job_id}"

    def output(self, job: Any) -> Path | None:
        return Path(job.paths.stdout)

    def over(self, job: Any) -> bool:
        return bool(job._process.poll() is not None)

    def stop(self, jobs: Sequence[Any]) -> None:
        running, until = list(jobs), time.monotonic() + STOP_SECONDS
        while running and time.monotonic() < until:
            for job in running:  # again and again: Submitit drops the signal while a job still imports
                job._process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            running = [job for job in running if not self.over(job)]
        if running:
            print(f"{len(running)} runs are still in the middle of a step; they end after it", file=sys.stderr)


class Debug:
    """This process, one run after the other; a failing run's traceback comes out as it is recorded."""

    capacity = 1
    poll_seconds = 0.5
    stop_with_controller = True
    queues = False

    def __init__(self, ledger: Ledger, preset: str) -> None:
        self.ledger, self.preset = ledger, preset

    def attach(self, runs: Sequence[Run]) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def intended(self, runs: Sequence[Run]) -> list[str]:
        return [f"would do {len(runs)} runs in this process, one after the other"] if runs else []

    def waits(self, job: Any) -> bool:  # noqa: ARG002
        return False

    def outside(self, job: Any) -> bool:  # noqa: ARG002
        return False

    def described(self, job: Any) -> str:  # noqa: ARG002
        return "this process"

    def output(self, job: Any) -> Path | None:  # noqa: ARG002
        return None

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        from simvtp.runtime.locks import Busy
        from simvtp.runtime.signals import Interrupted

        for run in runs:
            try:
                work_of(run, self.ledger, self.preset)()
            except Interrupted:
                raise KeyboardInterrupt from None
            except Busy as error:
                print(f"run {run.id}: {error}; waiting", file=sys.stderr)
            except Exception as error:  # noqa: BLE001  (recorded in the run's folder; the others go on)
                print(f"run {run.id}: {type(error).__name__}: {error}", file=sys.stderr)
        return {run.id: run.id for run in runs}

    def over(self, job: Any) -> bool:  # noqa: ARG002
        return True

    def stop(self, jobs: Sequence[Any]) -> None:
        """Nothing runs beside this process."""


def work_of(run: Run, ledger: Ledger, preset: str) -> Work:
    return Work("run", run.id, flatten(run.config), ledger.results.resolve(), preset)
