"""One owner for a run folder or a shared stage, on one machine or many.

A lock is a file that names its owner and is touched every few seconds. It is free when the file is gone, when its
owner was a process of this machine that no longer lives, or when it has not been touched for a minute and a half (an
owner on another machine that died). Only file creation and rename are relied on, so it holds on network disks too.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 90.0


class Busy(RuntimeError):
    """Another live process holds the lock."""


@dataclass(frozen=True)
class Owner:
    """Who holds a lock. started: the process's start time in clock ticks after boot, which tells reused pids apart."""

    host: str
    pid: int
    started: int
    job: str
    token: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f" (job {self.job})" if self.job else "")


def process_start(pid: int) -> int | None:
    """Start time of a live process of this machine, None where there is none (a zombie counts as none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def holder(path: Path) -> Owner | None:
    """The live owner of a lock file; None when it is free or its owner is dead."""
    try:
        content, touched = path.read_text(), path.stat().st_mtime
        owner = Owner(**json.loads(content))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return None  # the lock is moved into place whole, so this is no lock that anyone holds
    if owner.host == socket.gethostname():
        return owner if process_start(owner.pid) == owner.started else None
    return owner if time.time() - touched < STALE_SECONDS else None


class Lock:
    """`with Lock(path): ...` holds the lock, or raises Busy that names the owner."""

    def __init__(self, path: Path) -> None:
        self.path = path
        pid = os.getpid()
        job = os.environ.get("SLURM_JOB_ID", "")
        self.owner = Owner(socket.gethostname(), pid, process_start(pid) or 0, job, uuid.uuid4().hex)
        self._done = threading.Event()

    def __enter__(self) -> Lock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        mine = self.path.with_name(f"{self.path.name}.{self.owner.token}")
        mine.write_text(json.dumps(asdict(self.owner)))
        try:
            self._take(mine)
        finally:
            mine.unlink(missing_ok=True)
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def _take(self, mine: Path) -> None:
        for _ in range(10):
            try:
                os.link(mine, self.path)  # atomic: fails where a lock is there
                return
            except FileExistsError:
                owner = holder(self.path)
                if owner is not None:
                    raise Busy(f"{self.path.parent} is in use by {owner}") from None
                self._remove_stale()
        raise Busy(f"{self.path.parent}: other processes take its lock again and again; try again")

    def _remove_stale(self) -> None:
        """Take a dead lock away by rename, and put it back if a live one slipped in between."""
        aside = self.path.with_name(f"{self.path.name}.stale.{self.owner.token}")
        try:
            self.path.rename(aside)
        except FileNotFoundError:
            return
        if holder(aside) is not None:
            try:
                os.link(aside, self.path)
            except FileExistsError:
                raise Busy(f"{self.path.parent}: two processes claim its lock; try again") from None
        aside.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT_SECONDS):
            try:
                os.utime(self.path)
            except FileNotFoundError:
                return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        try:
            if json.loads(self.path.read_text()).get("token") == self.owner.token:
                self.path.unlink()
        except FileNotFoundError:
            pass
