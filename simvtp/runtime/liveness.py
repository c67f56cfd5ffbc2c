"""Whether the owner of a lock file is alive, as far as this process can see.

It is dead if it was a process that this one could see (same boot of the machine, same PID namespace) and that has
ended, or if its file was watched for a minute and a half and not touched. Clocks are not compared: what counts is
whether the time of the file changes. A process that cannot be seen does not count as dead before that.
"""

from __future__ import annotations

import errno
import functools
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from simvtp.errors import ConfigError

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 90.0  # watched and not touched for so long: dead


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    started: start time of the process in clock ticks after boot, which distinguishes reused pids. sees: boot and
    namespaces of the machine that the pid is of; two processes with the same can see each other; "": unknown.
    """

    host: str
    pid: int
    started: int
    job: str
    token: str
    sees: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return "a process that its lock does not name"
        return f"process {self.pid} on {self.host}" + (f" (job {self.job})" if self.job else "")


NAMELESS = Owner("", 0, 0, "", "")


@dataclass(frozen=True)
class LockFile:
    """A lock file as it was read. owner: None if the content names none; beat: time of the file in ns."""

    owner: Owner | None
    inode: int
    beat: int

    @property
    def identity(self) -> str:
        return self.owner.token if self.owner else f"inode-{self.inode:x}"


def read_lock(path: Path) -> LockFile | None:
    """A lock file; None if there is none. Opening it makes a network disk ask for the time that is not cached.

    Raises ConfigError if something else is in its place.
    """
    for _ in range(3):
        try:
            with path.open("rb") as file:
                status, content = os.fstat(file.fileno()), file.read()
            break
        except FileNotFoundError:
            if path.is_symlink():
                raise _is_no_file(path) from None
            return None
        except IsADirectoryError:
            raise _is_no_file(path) from None
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    else:
        return None  # replaced at every look: not there as it was
    return LockFile(_owner(content), status.st_ino, status.st_mtime_ns)


def _is_no_file(path: Path) -> ConfigError:
    return ConfigError(f"{path}: a folder or broken link is where a lock file belongs; move it away")


def _owner(content: bytes) -> Owner | None:
    try:
        owner = Owner(**orjson.loads(content))
        is_whole = isinstance(owner.pid, int) and 0 < owner.pid < 2**31 and owner.token.isalnum()
        return owner if is_whole else None
    except (ValueError, TypeError, AttributeError):
        return None


def is_alive(path: Path, entry: LockFile) -> bool | None:
    """Whether the owner of a lock lives; None: not known yet."""
    lives = None if entry.owner is None else _process_lives(entry.owner)
    return _beats(path.absolute(), entry) if lives is None else lives


def is_visible(owner: Owner) -> bool:
    """Whether the owner is a live process that this one sees under its number, and so may signal."""
    return _process_lives(owner) is True


def _process_lives(owner: Owner) -> bool | None:
    """What the kernel says; None if the process cannot be seen from here."""
    if not owner.sees or owner.sees != visibility():
        return None
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's process
    try:
        state, started = process_state(str(owner.pid))
    except OSError:
        return None  # hidden (hidepid), or it ended just now
    return state not in "ZX" and started == owner.started


def process_state(pid: str) -> tuple[str, int]:
    """State and start time of a process. OSError: there is none, or it cannot be seen; ("", 0) without /proc."""
    if not Path("/proc/self/stat").exists():
        return "", 0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[19])


@functools.cache
def visibility() -> str:
    """Boot and namespaces of this process; "" where /proc is not there or is that of another PID namespace."""
    try:
        if Path("/proc/self").readlink().name != str(os.getpid()):
            return ""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        pids, times = Path("/proc/self/ns/pid").readlink(), Path("/proc/self/ns/time")
        return f"{boot} {pids} {times.readlink() if times.exists() else ''}".strip()
    except OSError:
        return ""


@dataclass
class _Watch:
    """What this process saw of a heartbeat. quiet: seconds since it moved, of those that were watched."""

    identity: str
    beat: int
    looked: float
    quiet: float = 0.0
    moved: bool = False


_watches: dict[Path, _Watch] = {}
_watching = threading.Lock()


def _beats(path: Path, entry: LockFile) -> bool | None:
    """Whether the time of a lock file moves, as this process saw it; None: not known yet.

    A look counts for two heartbeats at most: where this process, or the disk of both, stood still, it saw nothing.
    """
    now = time.monotonic()
    with _watching:
        last = _watches.get(path)
        if last is None or last.identity != entry.identity:
            _watches[path] = _Watch(entry.identity, entry.beat, now)
            return None
        last.quiet += min(now - last.looked, 2 * HEARTBEAT_SECONDS)
        last.looked = now
        if entry.beat != last.beat:
            last.beat, last.quiet, last.moved = entry.beat, 0.0, True
        if last.quiet >= STALE_SECONDS:
            return False
        return True if last.moved else None
