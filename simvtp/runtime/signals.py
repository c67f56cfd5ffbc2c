"""How training is asked to stop: by signals, which it hears between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Asked:
    """The signal that came in; 0: none."""

    number: int = 0


asked = Asked()


class Interrupted(Exception):
    """Training was asked to stop; its checkpoint is written, and the same command continues from it.

    signal: the number of the signal that asked.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.signal = asked.number


@contextmanager
def stoppable() -> Iterator[None]:
    """Within the block, SIGTERM, SIGINT and SIGUSR2 make training write a checkpoint and raise Interrupted.

    SLURM and Submitit send SIGUSR2 before a limit and SIGTERM at preemption. Outside the main thread signals cannot
    be handled, and the block changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        asked.number = number

    asked.number = 0
    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        asked.number = 0
