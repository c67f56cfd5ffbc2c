"""One owner for a run folder or a shared stage, on one machine or many.

A lock is a file that names its owner and is touched every few seconds. It is free when the file is gone. Its owner is
known to be dead when it was a process that this one could see and that no longer lives (same boot of the machine, same
PID namespace), or when the file was watched for a minute and a half and not touched. Clocks are not compared: what
counts is whether the time of the file moves. A process that cannot be seen is not taken for dead.

A dead lock is taken over by the one process that holds the lock of the take-over, `lock.<token of the dead owner>`; it
replaces the file in one step. An owner that was taken for dead while it was suspended finds out by `verify`, which
every write below the folder of a lock calls (`simvtp.runtime.files`).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import logging
import os
import socket
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from simvtp.runtime.permissions import explained, make_folder
from simvtp.runtime.signals import raise_if_stopped

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 90.0  # watched and not touched for so long: dead
POLL_SECONDS = 0.2
TRIES = 50  # to take a lock that comes and goes

_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV)


class Busy(RuntimeError):
    """Another live process holds the lock."""


class LockLost(Busy):
    """This process held the lock, and another one has it now, or it was removed."""


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    started: start time of the process in clock ticks after boot, which tells reused pids apart. sees: boot and
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
class _Entry:
    """A lock file as it was read. owner: None where the content names none; beat: time of the file in ns."""

    owner: Owner | None
    inode: int
    beat: int

    @property
    def identity(self) -> str:
        return self.owner.token if self.owner else f"inode-{self.inode:x}"


def holder(path: Path) -> Owner | None:
    """The owner of a lock file; None when it is free or its owner is known to be dead.

    An owner that cannot be seen from here counts as alive until the calls of this process have watched its lock for
    STALE_SECONDS, so a process that calls once is told of it.
    """
    entry = _read(path)
    if entry is None or _lives(path, entry) is False:
        return None
    return entry.owner or NAMELESS


class Lock:
    """`with Lock(path): ...` holds the lock file `path`, or raises Busy that names the owner.

    Taking it may wait: up to a heartbeat for an owner that cannot be seen and lives, STALE_SECONDS for one that died.
    Raises ConfigError where the folder may not be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        job = os.environ.get("SLURM_JOB_ID", "")
        self.owner = Owner(socket.gethostname(), os.getpid(), _stat_of("self")[1], job, uuid.uuid4().hex, _sees())
        self._content = json.dumps(asdict(self.owner)).encode()
        self._new = self.path.with_name(f"{self.path.name}.{self.owner.token}.new")
        self._file = -1
        self._done = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Lock:
        make_folder(self.path.parent)
        try:
            self._file = os.open(self._new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            os.write(self._file, self._content)
            self._acquire()
            self._heart.start()
        except OSError as error:
            raise explained(error, self.path) from error
        finally:
            self._new.unlink(missing_ok=True)
            if self._file >= 0 and not self._heart.is_alive():
                os.close(self._file)
        _held.add(self)
        return self

    def verify(self) -> None:
        """Raise LockLost where this process does not own the lock any more. Costs the reading of a small file."""
        entry = _read(self.path)
        if entry is None:
            raise LockLost(f"{self.path} was removed while this process worked there; it writes no more")
        if not self._is_own(entry):
            raise LockLost(f"{self.path.parent} was taken over by {entry.owner}; this process writes no more there")
        if entry.owner is None:
            os.pwrite(self._file, self._content, 0)  # it was emptied

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _held.discard(self)
        self._done.set()
        entry = _read(self.path)
        if entry is not None and self._is_own(entry):
            self.path.unlink(missing_ok=True)
        self._heart.join(1)
        if not self._heart.is_alive():
            os.close(self._file)

    def _is_own(self, entry: _Entry) -> bool:
        if entry.owner is not None:
            return entry.owner.token == self.owner.token
        return entry.inode == os.fstat(self._file).st_ino  # open, so the number is not given to another file

    def _acquire(self) -> None:
        waits = False
        for _ in range(TRIES):
            while not self._created():
                entry = _read(self.path)
                if entry is None:
                    break
                lives = _lives(self.path, entry)
                if lives:
                    raise Busy(f"{self.path.parent} is in use by {entry.owner or NAMELESS}")
                if lives is False:
                    if self._replaced(entry):
                        return
                    break
                if not waits:
                    log.info("%s: waiting up to %g s to see whether its owner lives (%s)", self.path.parent,
                             STALE_SECONDS, entry.owner or NAMELESS)  # fmt: skip
                    waits = True
                time.sleep(POLL_SECONDS)
                raise_if_stopped("the lock was not taken")
            else:
                return
        raise Busy(f"{self.path.parent}: other processes take its lock again and again; try again")

    def _created(self) -> bool:
        """Make the lock file where there is none; whether this process owns it now."""
        try:
            os.link(self._new, self.path)  # atomic, with its content; fails where a lock is there
            return True
        except OSError as error:
            entry = _read(self.path)
            if entry is not None and entry.identity == self.owner.token:
                return True  # a network disk had done it and lost the reply
            if isinstance(error, FileExistsError):
                return False
            if error.errno not in _NO_HARD_LINKS:
                raise
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        os.close(self._file)
        self._file = file
        try:
            os.write(file, self._content)
        except OSError:
            self.path.unlink()
            raise
        return True

    def _replaced(self, dead: _Entry) -> bool:
        """Take over from a dead owner; False where another process has done it. Raises Busy where one is at it."""
        with Lock(self.path.with_name(f"{self.path.name}.{dead.identity}")):
            entry = _read(self.path)
            if entry is None or (entry.identity, entry.beat) != (dead.identity, dead.beat):
                return False
            try:
                self._new.replace(self.path)
            except OSError:
                entry = _read(self.path)
                if entry is None or entry.identity != self.owner.token:
                    raise
            return True

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):  # a network disk that fails once is asked again
                os.utime(self._file)


_held: set[Lock] = set()


def verify(path: Path) -> None:
    """Raise LockLost where this process has lost a lock of a folder that `path` lies in."""
    above = path.absolute().parents
    for lock in tuple(_held):
        if lock.path.parent in above:
            lock.verify()


def _read(path: Path) -> _Entry | None:
    """A lock file; None where there is none. Opening it makes a network disk ask for the time that is not cached."""
    for _ in range(3):
        try:
            with path.open("rb") as file:
                found, content = os.fstat(file.fileno()), file.read()
            break
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    else:
        return None  # replaced at every look: not there as it was
    try:
        owner = Owner(**json.loads(content))
    except (ValueError, TypeError):
        owner = None
    return _Entry(owner, found.st_ino, found.st_mtime_ns)


def _lives(path: Path, entry: _Entry) -> bool | None:
    """Whether the owner of a lock lives; None: not known yet."""
    lives = None if entry.owner is None else _process_lives(entry.owner)
    return _beats(path.absolute(), entry) if lives is None else lives


def _process_lives(owner: Owner) -> bool | None:
    """What the kernel says; None where the process cannot be seen from here."""
    if not owner.sees or owner.sees != _sees():
        return None
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's process
    try:
        state, started = _stat_of(str(owner.pid))
    except OSError:
        return None  # hidden (hidepid), or it ended just now
    return state not in "ZX" and started == owner.started


def _stat_of(pid: str) -> tuple[str, int]:
    """State and start time of a process. OSError: there is none, or it cannot be seen; ("", 0) without /proc."""
    if not Path("/proc/self/stat").exists():
        return "", 0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[19])


@functools.cache
def _sees() -> str:
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


def _beats(path: Path, entry: _Entry) -> bool | None:
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
