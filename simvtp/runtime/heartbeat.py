"""Progress of a job: a file that is touched with every step, and a time limit after which a hung process ends itself.

A sweep's job calls `start`; training and evaluation call `beat` with every batch. The controller of the sweep watches
the file. (The heartbeat of a lock is another one: simvtp/runtime/locks.py.)
"""

from __future__ import annotations

import faulthandler
import logging
import os
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from simvtp.errors import ConfigError

log = logging.getLogger(__name__)

VARIABLE = "SIMVTP_HUNG_SECONDS"
DEFAULT_SECONDS = 1800.0
TOUCH_SECONDS = 5.0
FILE = "heartbeat"


class Pulse:
    """Time since the heartbeat file at `path` changed, measured by this process; clocks of hosts are not compared."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._touched, self._since = self._time(), time.monotonic()

    def _time(self) -> float | None:
        try:
            return self.path.stat().st_mtime
        except OSError:  # not there yet, or the disk does not answer: no sign
            return None

    def silent_seconds(self) -> float:
        """Seconds since the file was last seen to change, or since this object was made."""
        now, touched = time.monotonic(), self._time()
        if touched != self._touched:
            self._touched, self._since = touched, now
        return now - self._since


@dataclass
class _Watched:
    """path: the file; None: nothing is watched. limit: seconds without a step, 0 for none. last: time of the last
    touch."""

    path: Path | None = None
    limit: float = 0.0
    last: float = 0.0


_watched = _Watched()


def limit_seconds() -> float:
    """Seconds without a step after which a process counts as hung, from the environment; 0: never.

    Raises ConfigError if the variable is no number from 0.
    """
    text = os.environ.get(VARIABLE, "")
    try:
        limit = float(text) if text else DEFAULT_SECONDS
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise ConfigError(f"{VARIABLE}={text!r}: write seconds, such as 1800, or 0 for no limit")
    return limit


def export() -> str:
    """A shell line that gives a job the limit of this process."""
    return f"export {VARIABLE}={shlex.quote(str(limit_seconds()))}"


def start(path: Path) -> None:
    """Watch this process: touch `path` with every step, and end with the stacks of all threads on stderr if none comes.

    Raises ConfigError (`limit_seconds`).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    _watched.path, _watched.limit, _watched.last = path, limit_seconds(), float("-inf")
    beat()


def stop() -> None:
    """Watch no longer."""
    _watched.path = None
    faulthandler.cancel_dump_traceback_later()


def beat() -> None:
    """Report a step. The file is touched at most every few seconds; without `start`, nothing happens."""
    now = time.monotonic()
    if _watched.path is None or now - _watched.last < min(TOUCH_SECONDS, _watched.limit / 4 or TOUCH_SECONDS):
        return
    _watched.last = now
    if _watched.limit:
        faulthandler.dump_traceback_later(_watched.limit, exit=True)
    try:
        os.utime(_watched.path)
    except OSError as error:  # one missed touch ends no training, and what writes to a failed disk reports it
        log.debug(f"{_watched.path}: {error}")
