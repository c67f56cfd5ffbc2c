"""Locks: a run folder or a shared stage has one owner at a time, on one machine or many.

A lock is a file that names its owner. The owner touches it every few seconds: its heartbeat (`liveness` decides when an
owner counts as dead). A dead lock is taken over by the process that holds `lock.<token of the dead owner>`, which
replaces the file in one step. An owner that was suspended and replaced finds out by `verify`, which every write below
the folder of a lock calls (`simvtp.runtime.files`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import threading
import time
import uuid
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from simvtp.runtime import liveness
from simvtp.runtime.liveness import NAMELESS, LockFile, Owner, is_alive, process_state, read_lock, visibility
from simvtp.runtime.permissions import explained, make_folder
from simvtp.runtime.signals import raise_if_stopped

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
TRIES = 50  # to take a lock that comes and goes

_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV)


class Busy(RuntimeError):
    """Another live process holds the lock."""


class LockLost(Busy):
    """This process held the lock, and another one has it now, or it was removed."""


def holder(path: Path) -> Owner | None:
    """The owner of a lock file; None when it is free or its owner is known to be dead.

    An owner that cannot be seen from here counts as alive until the calls of this process have watched its lock for
    STALE_SECONDS, so a process that calls once gets that owner.
    """
    entry = read_lock(path)
    if entry is None or is_alive(path, entry) is False:
        return None
    return entry.owner or NAMELESS


class Lock:
    """`with Lock(path): ...` holds the lock file `path`, or raises Busy that names the owner.

    Taking it may wait: up to a heartbeat for an owner that cannot be seen and lives, STALE_SECONDS for one that died.
    Raises ConfigError if the folder may not be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        job = os.environ.get("SLURM_JOB_ID", "")
        self.owner = Owner(
            socket.gethostname(), os.getpid(), process_state("self")[1], job, uuid.uuid4().hex, visibility()
        )
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
        """Raise LockLost if this process does not own the lock any more. Costs the reading of a small file."""
        entry = read_lock(self.path)
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
        entry = read_lock(self.path)
        if entry is not None and self._is_own(entry):
            self.path.unlink(missing_ok=True)
        self._heart.join(1)
        if not self._heart.is_alive():
            os.close(self._file)

    def _is_own(self, entry: LockFile) -> bool:
        if entry.owner is not None:
            return entry.owner.token == self.owner.token
        return entry.inode == os.fstat(self._file).st_ino  # open, so the number is not given to another file

    def _acquire(self) -> None:
        waits = False
        for _ in range(TRIES):
            while not self._created():
                entry = read_lock(self.path)
                if entry is None:
                    break
                lives = is_alive(self.path, entry)
                if lives:
                    raise Busy(f"{self.path.parent} is in use by {entry.owner or NAMELESS}")
                if lives is False:
                    if self._replaced(entry):
                        return
                    break
                if not waits:
                    log.info("%s: waiting up to %g s to see whether its owner lives (%s)", self.path.parent,
                             liveness.STALE_SECONDS, entry.owner or NAMELESS)  # fmt: skip
                    waits = True
                time.sleep(POLL_SECONDS)
                raise_if_stopped("the lock was not taken")
            else:
                return
        raise Busy(f"{self.path.parent}: other processes take its lock again and again; try again")

    def _created(self) -> bool:
        """Make the lock file if there is none; whether this process owns it now."""
        try:
            os.link(self._new, self.path)  # atomic, with its content; fails where a lock is there
            return True
        except OSError as error:
            entry = read_lock(self.path)
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

    def _replaced(self, dead: LockFile) -> bool:
        """Take over from a dead owner; False if another process has done it. Raises Busy if one is at it."""
        with Lock(self.path.with_name(f"{self.path.name}.{dead.identity}")):
            entry = read_lock(self.path)
            if entry is None or (entry.identity, entry.beat) != (dead.identity, dead.beat):
                return False
            try:
                self._new.replace(self.path)
            except OSError:
                entry = read_lock(self.path)
                if entry is None or entry.identity != self.owner.token:
                    raise
            return True

    def _beat(self) -> None:
        while not self._done.wait(liveness.HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):  # a network disk that fails once is asked again
                os.utime(self._file)


_held: set[Lock] = set()


def verify(path: Path) -> None:
    """Raise LockLost if this process has lost a lock of a folder that `path` lies in."""
    above = path.absolute().parents
    for lock in tuple(_held):
        if lock.path.parent in above:
            lock.verify()
