"""Answers of squeue and sacct about the submissions of one results folder, cached for ten seconds in a shared file."""

from __future__ import annotations

import errno
import logging
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simvtp.runtime.files import read_json, write_json
from sweeps.state.submissions import PREFIX, Submissions

log = logging.getLogger(__name__)

QUERY_SECONDS = 10.0
PENDING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")
HELD = "launch failed requeued held"
RELEASES = 3


@dataclass(frozen=True)
class QueueSnapshot:
    """One answer of squeue.

    time: before the query was sent, seconds since 1970. jobs: token -> number of its job. tasks: token -> task number
    -> (state, reason), of what SLURM still has.
    """

    time: float
    jobs: Mapping[str, str]
    tasks: Mapping[str, Mapping[str, Sequence[str]]]

    def state(self, token: str, task: int) -> Sequence[str] | None:
        """(state, reason) of a task; None if SLURM has it no more, or not yet."""
        return self.tasks.get(token, {}).get(str(task))


class SlurmQueue:
    """The last answer of squeue, shared by all controllers of a results folder and renewed after ten seconds.

    submissions: those of a results folder.
    """

    def __init__(self, submissions: Submissions) -> None:
        self.submissions = submissions
        self.path: Path = submissions.folder / "queue.json"
        self.last = QueueSnapshot(0.0, {}, {})
        self.tried = 0.0
        self.released = Counter[str]()  # held task -> how often it was released

    def read_cached(self) -> QueueSnapshot:
        """The newest snapshot on disk, by any process; does not ask SLURM."""
        try:
            cached: Any = read_json(self.path)
            self.last = QueueSnapshot(float(cached["time"]), cached["jobs"], cached["tasks"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass  # none yet, or one that a full disk cut: it is derived, and written anew
        return self.last

    def current(self) -> QueueSnapshot:
        """A snapshot of the last ten seconds; an older one if SLURM does not answer."""
        if time.time() - self.last.time >= QUERY_SECONDS:
            self.read_cached()
        age = time.time() - max(self.last.time, self.tried)
        if age >= QUERY_SECONDS or age < 0:
            self._ask()
        return self.last

    def refresh(self) -> QueueSnapshot:
        """`current` if this machine can ask SLURM; otherwise the newest snapshot on disk."""
        return self.current() if shutil.which("squeue") is not None else self.read_cached()

    def accounting(self, jobs: Sequence[str]) -> dict[str, list[str]]:
        """Job -> states of its starts by the accounting, oldest first; jobs that it does not know are missing.

        sacct is called at most once in ten seconds by all processes together; in between the last answer is given.
        """
        path = self.submissions.folder / "accounts.json"
        try:
            cached: Any = read_json(path)
            queried, known = float(cached["time"]), dict(cached["jobs"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            queried, known = 0.0, {}
        wait = queried + QUERY_SECONDS - time.time()
        if jobs and shutil.which("sacct") is not None and not (wait > 0 and known.keys() >= set(jobs)):
            time.sleep(min(max(wait, 0.0), QUERY_SECONDS))  # another process has just asked about other jobs
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
            if done.returncode:
                log.warning("sacct does not answer: %s", done.stderr.strip()[:200])
                return {}
            known = {job: [] for job in jobs}
            for line in done.stdout.splitlines():
                job, *states = line.split("|")
                known.setdefault(job, []).append(" ".join(states))
            _write_cache(path, {"time": time.time(), "jobs": known})
        return {job: known[job] for job in jobs if known.get(job)}

    def _ask(self) -> None:
        began = self.tried = time.time()
        tokens = self.submissions.open_tokens()
        if not tokens:
            self.last = QueueSnapshot(began, {}, {})
            return
        names = ",".join(PREFIX + token for token in tokens)
        words = ["squeue", "--noheader", "--array", f"--name={names}", "--format=%j|%F|%K|%T|%r"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            log.warning("squeue does not answer; asking again in ten seconds")
            return
        if done.returncode:
            log.warning(f"squeue: {_last(done.stderr)}; asking again in ten seconds")
            return
        jobs: dict[str, str] = {}
        tasks: dict[str, dict[str, Sequence[str]]] = {}
        alike: dict[tuple[str, str], tuple[str, str]] = {}  # ten thousand tasks wait for few reasons
        for line in done.stdout.splitlines():
            name, job, task, state, reason = line.split("|", 4)
            token = name.removeprefix(PREFIX)
            jobs[token] = job
            tasks.setdefault(token, {})[task] = alike.setdefault((state, reason), (state, reason))
        self.last = QueueSnapshot(began, jobs, tasks)
        if _write_cache(self.path, {"time": began, "jobs": jobs, "tasks": tasks}):
            self._release_held()
            self._update_records(tokens)

    def _release_held(self) -> None:
        """SLURM holds a job after a failed start on a node: release it, and cancel it after a few times."""
        held = [
            f"{self.last.jobs[token]}_{task}"
            for token, tasks in self.last.tasks.items()
            for task, (_, reason) in tasks.items()
            if reason == HELD
        ]
        self.released.update(held)
        hopeless = [task for task in held if self.released[task] > RELEASES]
        for words in (["scontrol", "release", *(t for t in held if t not in hopeless)], ["scancel", *hopeless]):
            tasks = words[2:] if words[0] == "scontrol" else words[1:]
            if tasks:
                log.warning(f"{len(tasks)} jobs could not start on their node: {words[0]} {', '.join(tasks[:5])}")
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                if done.returncode:
                    log.warning(f"{words[0]}: {_last(done.stderr)}")

    def _update_records(self, tokens: Sequence[str]) -> None:
        """Record job numbers that a killed controller did not receive, and close submissions that are over."""
        for token in tokens:
            record = self.submissions.read(token)
            if record is None:
                self.submissions.close(token)
            elif token in self.last.jobs:
                if record.job is None:
                    self.submissions.set_job_id(record, self.last.jobs[token])
            elif record.created + QUERY_SECONDS < self.last.time:
                self.submissions.close(token)


def _last(words: str) -> str:
    """The last line of what a command said."""
    return (words.strip().splitlines() or ["no reason given"])[-1]


def _write_cache(path: Path, answer: Mapping[str, Any]) -> bool:
    """Write an answer to disk for other processes; False if this user may only read the results folder."""
    try:
        write_json(path, answer)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return False
    return True
