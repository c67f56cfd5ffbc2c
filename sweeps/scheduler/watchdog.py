"""Watchdogs of a controller: for jobs that hang, and for a full disk."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from pathlib import Path

from simvtp.runtime.liveness import Owner, is_visible
from sweeps.plan import Run
from sweeps.state.run_states import RunRegistry

log = logging.getLogger(__name__)

GRACE_SECONDS = 30.0  # a job that hangs ends itself first, with its stack in its output (simvtp/runtime/heartbeat.py)
LOW_BYTES = 64 * 2**20


class Hung(RuntimeError):
    """A job has made no step for longer than --hung-after."""


class HangWatch:
    """Detects runs without progress: their heartbeat file stays unchanged. Clocks of hosts are not compared.

    registry: of the results folder. limit: seconds without a step after which a job counts as hung; 0: never.
    """

    def __init__(self, registry: RunRegistry, limit: float) -> None:
        self.registry, self.limit = registry, limit
        self._seen: dict[str, tuple[float, float]] = {}  # run -> (time of its file, when that was first seen)

    def silent_seconds(self, run: Run) -> float:
        """Seconds since this process last saw the run's heartbeat file change."""
        now, touched = time.monotonic(), self.registry.last_beat(run)
        if run.id not in self._seen or self._seen[run.id][0] != touched:
            self._seen[run.id] = (touched, now)
        return now - self._seen[run.id][1]

    def is_hung(self, silent: float) -> bool:
        return self.limit > 0 and silent > self.limit + min(GRACE_SECONDS, self.limit)

    def forget(self, run: Run) -> None:
        """The run starts anew."""
        self._seen.pop(run.id, None)

    def kill_process(self, owner: Owner) -> None:
        """Kill a process of this user on this machine; elsewhere its own time limit ends it."""
        if not is_visible(owner) or owner.job:
            log.warning(f"{owner} hangs and is not this controller's to kill; end it there")
            return
        try:
            os.kill(owner.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError) as error:
            log.warning(f"{owner} hangs and could not be killed ({error.strerror})")


class DiskWatch:
    """Warns that the disk of the results is full, since jobs then wait without a message to the user.

    results: the results folder.
    """

    def __init__(self, results: Path) -> None:
        self.results, self.low = results, False

    def poll(self) -> None:
        """Log a warning when room runs out, and a line when there is some again."""
        try:
            free = shutil.disk_usage(self.results).free
        except OSError as error:
            log.warning(f"{self.results}: {error.strerror}; it is not known how much room there is")
            return
        if free < LOW_BYTES and not self.low:
            log.warning(
                f"the disk of {self.results} is full ({free / 2**20:.0f} MiB left); jobs wait until there is room"
            )
        elif free >= LOW_BYTES and self.low:
            log.info(f"the disk of {self.results} has room again ({free >> 20} MiB)")
        self.low = free < LOW_BYTES
