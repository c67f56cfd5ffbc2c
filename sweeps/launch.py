"""Where runs are carried out: jobs of Submitit on SLURM or this machine, or this very process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import submitit
from submitit.helpers import DelayedSubmission

from simvtp.validation import ConfigError
from sweeps.ledger import Ledger
from sweeps.plan import Run

ROOT = Path(__file__).resolve().parent.parent
A_WEEK_MINUTES = 7 * 24 * 60
STOP_SECONDS = 60.0
CLUSTERS = ("auto", "local", "slurm", "debug")


class RunJob:
    """The callable that a job unpickles: one run, its failure recorded in its folder."""

    def __init__(self, values: Mapping[str, Any], run: str, results: Path, preset: str) -> None:
        self.values, self.run, self.results, self.preset = dict(values), run, results, preset

    def __call__(self) -> str:
        from simvtp.config import unflatten
        from simvtp.identity import pretrain_id
        from simvtp.locks import Busy
        from simvtp.run import run
        from simvtp.training import Interrupted

        try:
            return str(run(unflatten(self.values), self.results, self.preset))
        except Interrupted as stopped:
            if stopped.signal == signal.SIGUSR2 and "SLURM_JOB_ID" in os.environ:
                # The checkpoint is written; now Submitit's own handler, in place again, requeues the job.
                os.kill(os.getpid(), signal.SIGUSR2)
                time.sleep(60)
            raise
        except (Busy, submitit.core.utils.UncompletedJobError):
            raise  # not this run's fault: the controller looks again
        except Exception as error:
            stage = pretrain_id(unflatten(self.values))
            Ledger(self.results).record_failure(self.run, stage, error)
            raise

    def checkpoint(self) -> DelayedSubmission:
        """A requeued job calls the same run again, which goes on from its own checkpoint."""
        return DelayedSubmission(self)


class Place(Protocol):
    """Somewhere to run jobs."""

    capacity: int

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        """Start the runs; gives a job for each run id."""

    def over(self, job: Any) -> bool:
        """Whether the job's process is gone for good."""

    def stop(self, jobs: Sequence[Any]) -> None:
        """Ask jobs to write a checkpoint and end, and wait until they have."""


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


class Local:
    """Processes of this machine, `jobs` at once, in the controller's process group."""

    def __init__(self, ledger: Ledger, preset: str, jobs: int) -> None:
        self.ledger, self.preset, self.capacity = ledger, preset, jobs
        self.gpus, self.holders = visible_gpus(), list[tuple[Any, int]]()
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        jobs = {}
        for run in runs:
            executor = submitit.LocalExecutor(self.ledger.folder(run.id) / "jobs")
            executor.update_parameters(timeout_min=A_WEEK_MINUTES, stderr_to_stdout=True)
            if self.gpus:
                gpu = self._emptiest_gpu()
                executor.update_parameters(gpus_per_node=1, visible_gpus=[gpu])
            threads = run.config.machine.threads
            limit = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")} if threads else {}
            before = {name: os.environ.get(name) for name in limit}
            os.environ.update(limit)
            with deaf_to_ctrl_c():
                jobs[run.id] = executor.submit(job_of(run, self.ledger, self.preset))
            if self.gpus:
                self.holders.append((jobs[run.id], gpu))
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
        return jobs

    def _emptiest_gpu(self) -> int:
        self.holders = [(job, gpu) for job, gpu in self.holders if not self.over(job)]
        counts = Counter(gpu for _, gpu in self.holders)
        return min(self.gpus, key=lambda gpu: counts[gpu])

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


class Slurm:
    """Jobs of a SLURM cluster; runs that start together are one array, `jobs` of it at once."""

    def __init__(self, ledger: Ledger, preset: str, jobs: int) -> None:
        if shutil.which("sbatch") is None:
            raise ConfigError("--cluster slurm: there is no sbatch on this machine; use --cluster local")
        self.ledger, self.preset, self.parallel = ledger, preset, jobs
        self.capacity = sys.maxsize

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        executor = submitit.SlurmExecutor(self.ledger.results / "jobs", python=sys.executable)
        gpu = {"gpus_per_node": 1} if self.preset != "tiny" else {}
        threads = max(1, runs[0].config.machine.threads or runs[0].config.machine.workers)
        executor.update_parameters(
            time=A_WEEK_MINUTES // 7, cpus_per_task=threads, job_name="simvtp", stderr_to_stdout=True,
            setup=[f"export PYTHONPATH={ROOT}"], array_parallelism=self.parallel, use_srun=True, **gpu,
        )  # fmt: skip
        made = executor.map_array(lambda job: job(), [job_of(run, self.ledger, self.preset) for run in runs])
        return {run.id: job for run, job in zip(runs, made, strict=True)}

    def over(self, job: Any) -> bool:
        return bool(job.done() and job.state not in ("PENDING", "RUNNING", "REQUEUED", "PREEMPTED", "UNKNOWN"))

    def stop(self, jobs: Sequence[Any]) -> None:
        """SLURM's jobs go on without a controller; scancel ends them."""


class Debug:
    """This process, one run after the other; a failing run's traceback comes out as it is recorded."""

    capacity = 1

    def __init__(self, ledger: Ledger, preset: str) -> None:
        self.ledger, self.preset = ledger, preset

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        from simvtp.locks import Busy
        from simvtp.training import Interrupted

        for run in runs:
            try:
                job_of(run, self.ledger, self.preset)()
            except Interrupted:
                raise KeyboardInterrupt from None
            except Busy as error:
                print(f"run {run.id}: {error}; waiting", file=sys.stderr)
            except Exception as error:  # noqa: BLE001  (recorded in the run's folder; the others go on)
                print(f"run {run.id}: {type(error).__name__}: {error}", file=sys.stderr)
        return dict.fromkeys((run.id for run in runs), None)

    def over(self, job: Any) -> bool:  # noqa: ARG002
        return True

    def stop(self, jobs: Sequence[Any]) -> None:
        """Nothing runs beside this process."""


def job_of(run: Run, ledger: Ledger, preset: str) -> RunJob:
    from simvtp.config import flatten

    return RunJob(flatten(run.config), run.id, ledger.results.resolve(), preset)


def place(cluster: str, ledger: Ledger, preset: str, jobs: int | None, threads: int) -> Place:
    """The place of --cluster; raises ConfigError for one that is unknown or absent."""
    if cluster not in CLUSTERS:
        raise ConfigError(f"--cluster {cluster}: it is one of {', '.join(CLUSTERS)}")
    if cluster == "auto":
        cluster = "slurm" if shutil.which("sbatch") else "local"
    if cluster == "slurm":
        return Slurm(ledger, preset, jobs or 64)
    if cluster == "debug":
        return Debug(ledger, preset)
    cores = len(os.sched_getaffinity(0))
    at_once = max(1, cores // threads) if threads else max(1, len(visible_gpus()))
    return Local(ledger, preset, jobs or at_once)
