"""What SLURM says of the submissions of one results folder, asked at most once in ten seconds, shared by a file."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simvtp.runtime.files import read_json, write_json
from sweeps.state.submissions import PREFIX, Submissions

QUERY_SECONDS = 10.0
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")
HELD = "launch failed requeued held"


@dataclass(frozen=True)
class Snapshot:
    """time: before the query was sent. tasks: token -> task number -> (state, reason), of what SLURM still has."""

    time: float
    jobs: Mapping[str, str]
    tasks: Mapping[str, Mapping[str, Sequence[str]]]

    def state(self, token: str, task: int) -> Sequence[str] | None:
        """(state, reason) of a task; None where SLURM has it no more, or not yet."""
        return self.tasks.get(token, {}).get(str(task))


class Queue:
    """The last snapshot of squeue, renewed where it is older than ten seconds, by whoever needs it first."""

    def __init__(self, submissions: Submissions) -> None:
        self.submissions = submissions
        self.path: Path = submissions.folder / "queue.json"
        self.last = Snapshot(0.0, {}, {})
        self.tried = 0.0

    def read(self) -> Snapshot:
        """The newest snapshot on disk, whoever took it; asks SLURM nothing."""
        try:
            found: Any = read_json(self.path)
            self.last = Snapshot(float(found["time"]), found["jobs"], found["tasks"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass  # none yet, or one that a full disk cut: it is derived, and written anew
        return self.last

    def look(self) -> Snapshot:
        """A snapshot of the last ten seconds; an older one where SLURM does not answer."""
        if time.time() - self.last.time >= QUERY_SECONDS:
            self.read()
        age = time.time() - max(self.last.time, self.tried)
        if age >= QUERY_SECONDS or age < 0:
            self._ask()
        return self.last

    def refresh(self) -> Snapshot:
        """`look` where this machine can ask SLURM; elsewhere what another one was told last."""
        return self.look() if shutil.which("squeue") is not None else self.read()

    def accounts(self, jobs: Sequence[str]) -> dict[str, list[str]]:
        """Job -> what accounting says of each of its starts, oldest first; none of a job that it does not know.

        Asked at most once in ten seconds, whoever asks; in between an answer is of the last time.
        """
        path = self.submissions.folder / "accounts.json"
        try:
            found: Any = read_json(path)
            asked, known = float(found["time"]), dict(found["jobs"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            asked, known = 0.0, {}
        wait = asked + QUERY_SECONDS - time.time()
        if jobs and shutil.which("sacct") is not None and not (wait > 0 and known.keys() >= set(jobs)):
            time.sleep(min(max(wait, 0.0), QUERY_SECONDS))  # somebody asked of other jobs a moment ago
            words = [
                "sacct",
                "-X",
                "-n",
                "-P",
                "-D",
                "-o",
                "JobID,State,NodeList,Elapsed,ExitCode",
                "-j",
                ",".join(jobs),
            ]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            known = {job: [] for job in jobs}
            for line in done.stdout.splitlines():
                job, *states = line.split("|")
                known.setdefault(job, []).append(" ".join(states))
            _kept(path, {"time": time.time(), "jobs": known})
        return {job: known[job] for job in jobs if known.get(job)}

    def _ask(self) -> None:
        began = self.tried = time.time()
        tokens = self.submissions.opened()
        if not tokens:
            self.last = Snapshot(began, {}, {})
            return
        names = ",".join(PREFIX + token for token in tokens)
        words = ["squeue", "--noheader", "--array", f"--name={names}", "--format=%j|%F|%K|%T|%r"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            print("squeue does not answer; asking again in ten seconds", file=sys.stderr)
            return
        if done.returncode:
            print(f"squeue: {done.stderr.strip()}; asking again in ten seconds", file=sys.stderr)
            return
        jobs: dict[str, str] = {}
        tasks: dict[str, dict[str, Sequence[str]]] = {}
        alike: dict[tuple[str, str], tuple[str, str]] = {}  # ten thousand tasks wait for few reasons
        for line in done.stdout.splitlines():
            name, job, task, state, reason = line.split("|", 4)
            token = name.removeprefix(PREFIX)
            jobs[token] = job
            tasks.setdefault(token, {})[task] = alike.setdefault((state, reason), (state, reason))
        self.last = Snapshot(began, jobs, tasks)
        if _kept(self.path, {"time": began, "jobs": jobs, "tasks": tasks}):
            self._release()
            self._settle(tokens)

    def _release(self) -> None:
        """SLURM holds a job whose start a node failed, for an operator to look at: let it try again elsewhere."""
        held = [
            f"{self.last.jobs[token]}_{task}"
            for token, tasks in self.last.tasks.items()
            for task, (_, reason) in tasks.items()
            if reason == HELD
        ]
        if held:
            print(f"{len(held)} jobs could not start on their node; released again", file=sys.stderr)
            subprocess.run(["scontrol", "release", *held], check=False)

    def _settle(self, tokens: Sequence[str]) -> None:
        """Learn job numbers that a killed controller did not, and close what is over."""
        for token in tokens:
            record = self.submissions.read(token)
            if record is None:
                self.submissions.close(token)
            elif token in self.last.jobs:
                if record.job is None:
                    self.submissions.numbered(record, self.last.jobs[token])
            elif record.created + QUERY_SECONDS < self.last.time:
                self.submissions.close(token)


def _kept(path: Path, answer: Mapping[str, Any]) -> bool:
    """Write down what SLURM said; False for who may only read this results folder, and so asks for himself alone."""
    try:
        write_json(path, answer)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return False
    return True
