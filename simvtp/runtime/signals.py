"""Signals that stop training: recorded when they arrive, handled between two steps."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP)


@dataclass
class StopRequested:
    """number: of the signal that arrived; 0: none."""

    number: int = 0


stop_requested = StopRequested()


class Interrupted(Exception):
    """A signal stopped training; its checkpoint is written, and the same command continues from it.

    signal: the number of the signal.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.signal = stop_requested.number


def raise_if_stopped(text: str) -> None:
    """Raise Interrupted if a signal has arrived."""
    if stop_requested.number:
        raise Interrupted(text)


@contextmanager
def stoppable() -> Iterator[None]:
    """Within the block, SIGTERM, SIGINT, SIGUSR2 and SIGHUP make training write a checkpoint and raise Interrupted.

    SLURM and Submitit send SIGUSR2 before a limit and SIGTERM at preemption; a terminal that is closed sends SIGHUP,
    which stays ignored where it was (nohup). Outside the main thread signals cannot be handled, and the block changes
    nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        stop_requested.number = number
        if number == signal.SIGHUP:
            leave_terminal()

    stop_requested.number = 0
    handled = [n for n in STOPPING if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop_requested.number = 0


def leave_terminal() -> None:
    """Redirect standard streams of a closed terminal to /dev/null: writing to it would raise before the checkpoint."""
    for stream in (0, 1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
