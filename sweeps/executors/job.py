"""What a task of a SLURM array starts: `python -m sweeps.executors.job results/jobs/<token>`.

The items of the task are in the record beside, so a task needs no pickle of its controller, which may be gone. Submitit
carries them out: its handler of SIGUSR2 requeues the job once the checkpoint is written.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from submitit.core import submission
from submitit.core.job_environment import JobEnvironment
from submitit.helpers import DelayedSubmission

from simvtp.config.schema import flatten
from sweeps.executors.task import Work
from sweeps.state.submissions import Submissions

# Jobs are requeued as often as it takes: each goes on where the last one stopped.
REQUEUES = 1_000_000
LOOK_SECONDS = 1.0


class Pack:
    """Several runs side by side in one job, each a process of its own, on the job's cores and GPUs."""

    def __init__(self, folder: Path, homes: Sequence[Path]) -> None:
        self.folder, self.homes, self.count = folder, homes, len(homes)

    def __call__(self) -> str:
        passed: list[int] = []

        def pass_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            passed.append(number)
            for child in children:
                if child.poll() is None:
                    child.send_signal(number)

        before = {number: signal.signal(number, pass_on) for number in (signal.SIGUSR2, signal.SIGTERM)}
        children: list[subprocess.Popen[bytes]] = []
        for number in range(self.count):
            words = [sys.executable, "-u", "-m", "sweeps.executors.job", str(self.folder), "--item", str(number)]
            children.append(subprocess.Popen(words))
        codes = self._wait(children)
        for number, handler in before.items():
            signal.signal(number, handler)
        if signal.SIGUSR2 in passed and any(codes):
            os.kill(os.getpid(), signal.SIGUSR2)  # all have written their checkpoint: Submitit requeues the job
            time.sleep(60)
        if any(codes):
            raise RuntimeError(f"{sum(code != 0 for code in codes)} of {self.count} runs of this job did not end well")
        return "done"

    def _wait(self, children: Sequence[subprocess.Popen[bytes]]) -> list[int]:
        """Exit codes. A run that --cancel ended is stopped; SLURM could only end the job, and the others with it."""
        told: set[int] = set()
        while any(child.poll() is None for child in children):
            for child, home in zip(children, self.homes, strict=True):
                if child.poll() is None and child.pid not in told and (home / "failure.json").exists():
                    child.terminate()  # it writes a checkpoint first
                    told.add(child.pid)
            time.sleep(LOOK_SECONDS)
        return [child.wait() for child in children]

    def checkpoint(self) -> DelayedSubmission:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as Work does
        return DelayedSubmission(self)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sweeps.executors.job", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--item", type=int, help="carry out one item of a task, in this very process")
    arguments = parser.parse_args()
    folder, task = arguments.folder, int(os.environ.get("SLURM_ARRAY_TASK_ID", "0"))
    submissions = Submissions(folder.parent.parent)
    record = submissions.read(folder.name)
    if record is None:
        sys.exit(f"{folder}/record.json is not there: nothing to do")
    items = record.items(task)
    works = [Work(item.kind, item.id, flatten(item.config), submissions.results, record.preset) for item in items]
    homes = [submissions.home(item) for item in items]
    if arguments.item is not None:
        works[arguments.item]()
        return
    os.environ["SUBMITIT_FOLDER"] = str(folder)
    environment = JobEnvironment()
    if environment.global_rank == 0:
        call = DelayedSubmission(works[0] if len(works) == 1 else Pack(folder, homes))
        call.set_timeout(60 * 24 * 365, REQUEUES)
        made = environment.paths.submitted_pickle
        for name in (made, environment.paths.result_pickle):  # left by a kill in the middle of a dump
            name.with_name(name.name + ".save_tmp").unlink(missing_ok=True)
        new = made.with_name(made.name + ".new")
        call.dump(new)
        new.replace(made)  # the other tasks of a run wait for it
    submission.process_job(folder)


if __name__ == "__main__":
    main()
