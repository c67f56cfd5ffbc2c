"""What a job does: one run or one shared stage, with its death noted in its folder."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from submitit.core.job_environment import JobEnvironment
from submitit.core.utils import UncompletedJobError
from submitit.helpers import DelayedSubmission

from simvtp.config.experiment import Experiment
from simvtp.config.run_dirs import RUNS, STAGES, home
from simvtp.config.schema import unflatten
from sweeps.state.failures import died, is_full

PATIENCE_SECONDS = 30 * 60.0
AGAIN_SECONDS = 5.0


class Work:
    """The callable that a job unpickles. kind: `run` or `pretrain`; values: its flat config."""

    def __init__(self, kind: str, name: str, values: Mapping[str, Any], results: Path, preset: str) -> None:
        self.kind, self.name, self.values, self.results, self.preset = kind, name, dict(values), results, preset

    def __call__(self) -> str:
        from simvtp.runtime.signals import Interrupted

        if (self._home() / "failure.json").exists():
            if self.kind == "pretrain":  # a job that ends well would let its followers start
                raise RuntimeError(f"stage {self.name} failed, or was cancelled, before this job began")
            return "failed, or was cancelled, before this job began"
        try:
            return self._patiently()
        except Interrupted as stopped:
            if stopped.signal == signal.SIGUSR2 and "SLURM_JOB_ID" in os.environ:
                # The checkpoint is written; now Submitit's own handler, in place again, requeues the job.
                os.kill(os.getpid(), signal.SIGUSR2)
                time.sleep(60)
            raise

    def _patiently(self) -> str:
        """Do the work; wait where another process is at it or the disk is full, which is no fault of this run."""
        from simvtp.runtime.locks import Busy
        from simvtp.runtime.signals import Interrupted

        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._do()
            except (Interrupted, UncompletedJobError):
                raise
            except Busy as error:
                if "SLURM_JOB_ID" not in os.environ or time.monotonic() > until:
                    raise  # the controller looks again
                why = str(error)
            except Exception as error:
                if not is_full(error) or time.monotonic() > until:
                    self._note(error)
                    raise
                why = f"{error}; it goes on when there is room"
            print(f"{self.kind} {self.name}: {why}; waiting", file=sys.stderr, flush=True)
            time.sleep(AGAIN_SECONDS)

    def _do(self) -> str:
        from simvtp.pretrain import pretrain
        from simvtp.run import run
        from simvtp.runtime.signals import stoppable

        if self.kind == "run":
            return str(run(self._experiment()))
        with stoppable():
            return str(pretrain(self._experiment()))

    def _experiment(self) -> Experiment:
        return Experiment(unflatten(self.values), self.preset, self.results)

    def _home(self) -> Path:
        return home(self.results, RUNS if self.kind == "run" else STAGES, self.name)

    def _note(self, error: Exception) -> None:
        """A death before the stage was made is the stage's: every run that shares it would die alike."""
        stage = self._experiment().pretrain_dir
        job, log = os.environ.get("SLURM_JOB_ID", ""), None
        if "SUBMITIT_FOLDER" in os.environ:
            log = JobEnvironment().paths.stdout
        if stage is not None and not (stage / "weights.safetensors").exists():
            died(stage, "pretrain", error, job, log)
        else:
            died(self._home(), "finetune", error, job, log)

    def checkpoint(self) -> DelayedSubmission:
        """A requeued job does the same work again, which goes on from its own checkpoint."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the requeue's own SIGTERM would kill `scontrol requeue`
        return DelayedSubmission(self)
