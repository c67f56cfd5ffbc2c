"""Runs as processes of this machine, each with its own cores and GPU."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simvtp.runtime.files import write_json
from sweeps.executors.base import JobEnd
from sweeps.executors.code_snapshot import snapshot_code
from sweeps.plan import Run
from sweeps.state.run_states import RunRegistry

log = logging.getLogger(__name__)

STOP_SECONDS = 60.0


def visible_gpus() -> list[str]:
    """GPUs of this machine that this process may use, as CUDA_VISIBLE_DEVICES names them, without loading torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        parts = [part.strip() for part in named.split(",")]
        return [part for part in parts if part.isdigit() or part.startswith(("GPU-", "MIG-"))]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False)
    return [str(number) for number in range(listed.stdout.count("UUID: GPU-"))] if listed.returncode == 0 else []


@dataclass(frozen=True)
class LocalJob:
    """A started process. log: the file of its output. slot: number of its share of cores and GPUs."""

    process: subprocess.Popen[bytes]
    log: Path
    slot: int


class Local:
    """Processes of this machine. Each is in its own session, so a closed terminal or Ctrl-C reaches it only through the
    controller, which lets it write a checkpoint.

    registry: of the results folder. preset: name of the preset, noted in results. jobs: processes at the same time;
    each gets an equal share of the cores, and one of the GPUs in turn, which several share where there are fewer GPUs.
    """

    poll_seconds = 0.5
    stops_with_controller = True
    has_queue = False

    def __init__(self, registry: RunRegistry, preset: str, jobs: int) -> None:
        self.registry, self.preset, self.capacity = registry, preset, jobs
        self.gpus, self.cores = visible_gpus(), sorted(os.sched_getaffinity(0))
        self.started: list[LocalJob] = []

    def attach(self, runs: Sequence[Run]) -> dict[str, LocalJob]:
        """None: what an earlier controller left at work here is seen by the locks it holds."""
        if runs:
            snapshot_code(self.registry.results)  # the code at the sweep's start, not as it is edited later
        return {}

    def check(self) -> None:
        """Nothing can be missing."""

    def submit(self, runs: Sequence[Run]) -> dict[str, LocalJob]:
        code = snapshot_code(self.registry.results)
        return {run.id: self._start(run, code) for run in runs}

    def _start(self, run: Run, code: Path) -> LocalJob:
        from sweeps.executors.task import Task  # loads Submitit: not for --dry-run

        slot = self._free_slot()
        folder = (self.registry.folder(run.id) / "jobs").resolve()
        task = Task.of(run, self.registry.results, self.preset)
        write_json(folder / "task.json", {**task.to_json(), "cores": list(self.cores_of(slot))})
        # PYTHONSAFEPATH: else Python would import from the folder that the command is given in, not from the copy.
        path = os.pathsep.join([str(code), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
        threads = run.config.machine.threads
        if threads:
            environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
        output = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}_log.out"
        words = [sys.executable, "-u", "-m", "sweeps.executors.job", str(folder / "task.json")]
        with output.open("ab") as out:
            process = subprocess.Popen(
                words, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        job = LocalJob(process, output, slot)
        self.started.append(job)
        return job

    def _free_slot(self) -> int:
        self.started = [job for job in self.started if not self.is_over(job)]
        taken = {job.slot for job in self.started}
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def cores_of(self, slot: int) -> Sequence[int]:
        """An equal share of the cores for each of the runs at once; all of them where they are fewer than the runs."""
        share = len(self.cores) // self.capacity
        return self.cores[slot * share : (slot + 1) * share] if share and slot < self.capacity else self.cores

    def describe_plan(self, runs: Sequence[Run]) -> list[str]:
        where = f"{len(self.gpus)} GPU{'s' * (len(self.gpus) > 1)} of this machine" if self.gpus else "this machine"
        return [f"would start {len(runs)} processes on {where}, {self.capacity} at once"] if runs else []

    def is_pending(self, job: LocalJob) -> bool:  # noqa: ARG002
        return False

    def is_over(self, job: LocalJob) -> bool:
        return job.process.poll() is not None

    def end_of(self, job: LocalJob) -> JobEnd:  # noqa: ARG002
        return JobEnd.OWN

    def stage_job(self, run: Run, job: LocalJob) -> LocalJob:  # noqa: ARG002
        return job

    def describe(self, job: LocalJob) -> str:
        return f"process {job.process.pid}"

    def log_path(self, job: LocalJob) -> Path | None:
        return job.log

    def stop(self, jobs: Sequence[Any]) -> None:
        running, until = [job for job in jobs if not self.is_over(job)], time.monotonic() + STOP_SECONDS
        for job in running:
            job.process.send_signal(signal.SIGTERM)
        while running and time.monotonic() < until:
            time.sleep(0.2)
            running = [job for job in running if not self.is_over(job)]
        if running:
            log.warning(f"{len(running)} runs are still in the middle of a step; they end after it")

    def kill(self, job: LocalJob) -> None:
        if not self.is_over(job):
            os.killpg(job.process.pid, signal.SIGKILL)
            job.process.wait()
