"""The work of a job: one run, or one pre-training that several runs share. Failures are recorded in its folder."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submitit.core.job_environment import JobEnvironment
from submitit.core.utils import UncompletedJobError
from submitit.helpers import DelayedSubmission

from simvtp.config.experiment import Experiment
from simvtp.config.plugins.loading import load_recorded
from simvtp.config.run_dirs import RUNS, STAGES, folder_of
from simvtp.config.schema import flatten, unflatten
from simvtp.runtime import heartbeat
from sweeps.plan import Run
from sweeps.state.failures import is_full, record_death

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 30 * 60.0
RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class Task:
    """A callable that carries out a run or a pre-training.

    kind: "run" or "pretrain". name: id of the run or stage. values: the flat config. results: the results folder.
    preset: name of the preset, noted in results.
    """

    kind: str
    name: str
    values: Mapping[str, Any]
    results: Path
    preset: str

    @staticmethod
    def of(run: Run, results: Path, preset: str) -> Task:
        """The task of a run."""
        return Task("run", run.id, flatten(run.config), results.resolve(), preset)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "values": dict(self.values), "results": str(self.results)}

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Task:
        return Task(content["kind"], content["name"], content["values"], Path(content["results"]), content["preset"])

    def __call__(self) -> str:
        from simvtp.runtime.signals import Interrupted

        if (self._folder() / "failure.json").exists():
            if self.kind == "pretrain":  # a job that ends well would let the jobs that depend on it start
                raise RuntimeError(f"pre-training {self.name} failed, or was cancelled, before this job began")
            return "failed, or was cancelled, before this job began"
        heartbeat.start(self._folder() / heartbeat.FILE)
        try:
            return self._run_patiently()
        except Interrupted as stopped:
            if stopped.signal == signal.SIGUSR2 and "SLURM_JOB_ID" in os.environ:
                # The checkpoint is written; now Submitit's own handler, in place again, requeues the job.
                os.kill(os.getpid(), signal.SIGUSR2)
                time.sleep(60)
            raise
        finally:
            heartbeat.stop()

    def _run_patiently(self) -> str:
        """Train the run or stage; wait while another process trains it, or while the disk is full."""
        from simvtp.runtime.locks import Busy
        from simvtp.runtime.signals import Interrupted

        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._run()
            except (Interrupted, UncompletedJobError):
                raise
            except Busy as error:
                if "SLURM_JOB_ID" not in os.environ or time.monotonic() > until:
                    raise  # the controller looks again
                reason = str(error)
            except Exception as error:
                if not is_full(error) or time.monotonic() > until:
                    self._record(error)
                    raise
                reason = f"{error}; it goes on when there is room"
            log.warning(f"{self.kind} {self.name}: {reason}; waiting")
            heartbeat.beat()
            time.sleep(RETRY_SECONDS)

    def _run(self) -> str:
        from simvtp.pretrain import pretrain
        from simvtp.run import run
        from simvtp.runtime.signals import stoppable

        load_recorded(str(self.values.get("plugins", "")))
        if self.kind == "run":
            return str(run(self._experiment()))
        with stoppable():
            return str(pretrain(self._experiment()))

    def _experiment(self) -> Experiment:
        return Experiment(unflatten(self.values), self.preset, self.results)

    def _folder(self) -> Path:
        return folder_of(self.results, RUNS if self.kind == "run" else STAGES, self.name)

    def _record(self, error: Exception) -> None:
        """Record a death: of the pre-training if that is unfinished, since every run that shares it would die too."""
        stage = self._experiment().pretrain_dir
        output = JobEnvironment().paths.stdout if "SUBMITIT_FOLDER" in os.environ else None
        if stage is not None and not (stage / "weights.safetensors").exists():
            record_death(stage, "pretrain", error, job_name(), output)
        else:
            record_death(self._folder(), "finetune", error, job_name(), output)

    def checkpoint(self) -> DelayedSubmission:
        """The submission that Submitit requeues: the same task, which continues from its own checkpoint."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the requeue's own SIGTERM would kill `scontrol requeue`
        return DelayedSubmission(self)


def job_name() -> str:
    """This job, as `Executor.describe` names it."""
    names = ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")
    if all(name in os.environ for name in names):
        return "job " + "_".join(os.environ[name] for name in names)
    return f"process {os.getpid()}"
