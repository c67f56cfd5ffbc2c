"""Entry point of a job: `python -m sweeps.executors.job results/jobs/<token>` or `.../runs/<id>/jobs/task.json`.

The argument is the folder of a submission to SLURM, or the file of one task on this machine. An array task reads its
items from the submission's record, so it does not need the controller. Submitit's handler of SIGUSR2 requeues the job
once the checkpoint is written.
"""

from __future__ import annotations

import argparse
import logging
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
from simvtp.runtime import heartbeat
from simvtp.runtime.files import read_json
from simvtp.runtime.log import show_log
from sweeps.executors.task import Task
from sweeps.state.submissions import Submissions

log = logging.getLogger("sweeps.executors.job")  # not "__main__", which a job's own process is

# Jobs are requeued without limit: each goes on where the last one stopped.
REQUEUES = 1_000_000
POLL_SECONDS = 1.0
GRACE_SECONDS = 15.0  # less than the controller's


class PackedTasks:
    """Several runs side by side in one job, each in its own process, sharing the job's cores and GPUs.

    folder: of the submission. run_folders: of the runs, in the order of the items.
    """

    def __init__(self, folder: Path, run_folders: Sequence[Path]) -> None:
        self.folder, self.run_folders, self.count = folder, run_folders, len(run_folders)

    def __call__(self) -> str:
        received: list[int] = []

        def forward(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            received.append(number)
            for child in children:
                if child.poll() is None:
                    child.send_signal(number)

        before = {number: signal.signal(number, forward) for number in (signal.SIGUSR2, signal.SIGTERM)}
        children: list[subprocess.Popen[bytes]] = []
        for number in range(self.count):
            words = [sys.executable, "-u", "-m", "sweeps.executors.job", str(self.folder), "--item", str(number)]
            children.append(subprocess.Popen(words))
        codes = self._wait(children)
        for number, handler in before.items():
            signal.signal(number, handler)
        if signal.SIGUSR2 in received and any(codes):
            os.kill(os.getpid(), signal.SIGUSR2)  # all have written their checkpoint: Submitit requeues the job
            time.sleep(60)
        if any(codes):
            raise RuntimeError(f"{sum(code != 0 for code in codes)} of {self.count} runs of this job did not end well")
        return "done"

    def _wait(self, children: Sequence[subprocess.Popen[bytes]]) -> list[int]:
        """Exit codes. A run that --cancel ended, or that hangs, is stopped here: SLURM could only end the whole job."""
        stopped: set[int] = set()
        pulses = [heartbeat.Pulse(folder / heartbeat.FILE) for folder in self.run_folders]
        limit = heartbeat.limit_seconds()
        limit += min(GRACE_SECONDS, limit / 4)  # before that it ends itself, where it can
        while any(child.poll() is None for child in children):
            for child, folder, pulse in zip(children, self.run_folders, pulses, strict=True):
                if child.poll() is None and child.pid not in stopped and (folder / "failure.json").exists():
                    child.terminate()  # it writes a checkpoint first
                    stopped.add(child.pid)
                if child.poll() is None and 0 < limit < pulse.silent_seconds():
                    log.warning(f"{folder.name} made no step for {limit / 60:.0f} minutes; it is killed")
                    child.kill()
            time.sleep(POLL_SECONDS)
        return [child.wait() for child in children]

    def checkpoint(self) -> DelayedSubmission:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as Task does
        return DelayedSubmission(self)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sweeps.executors.job", description=__doc__)
    parser.add_argument("path", type=Path, help="a submission's folder, or the file of one task")
    parser.add_argument("--item", type=int, help="carry out one item of a submission's task, in this very process")
    arguments = parser.parse_args()
    show_log()
    if arguments.path.suffix == ".json":
        content = read_json(arguments.path)
        os.sched_setaffinity(0, content["cores"])  # before torch and its threads are there
        Task.from_json(content)()
        return
    _run_submission(arguments.path, arguments.item)


def _run_submission(folder: Path, item: int | None) -> None:
    """The array task of this SLURM job, or one item of it."""
    submissions = Submissions(folder.parent.parent)
    record = submissions.read(folder.name)
    if record is None:
        sys.exit(f"{folder}/record.json is not there: nothing to do")
    items = record.items(int(os.environ.get("SLURM_ARRAY_TASK_ID", "0")))
    tasks = [Task(entry.kind, entry.id, flatten(entry.config), submissions.results, record.preset) for entry in items]
    if item is not None:
        tasks[item]()
        return
    os.environ["SUBMITIT_FOLDER"] = str(folder)
    environment = JobEnvironment()
    if environment.global_rank == 0:
        packed = PackedTasks(folder, [submissions.folder_of(entry) for entry in items])
        call = DelayedSubmission(tasks[0] if len(tasks) == 1 else packed)
        call.set_timeout(60 * 24 * 365, REQUEUES)
        path = environment.paths.submitted_pickle
        for name in (path, environment.paths.result_pickle):  # left by a kill in the middle of a dump
            name.with_name(name.name + ".save_tmp").unlink(missing_ok=True)
        new = path.with_name(path.name + ".new")
        call.dump(new)
        new.replace(path)  # the other processes of a distributed run wait for it
    submission.process_job(folder)


if __name__ == "__main__":
    main()
