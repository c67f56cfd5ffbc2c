"""Prefetching of items, such as batches: by a thread of this process, or by worker processes."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from simvtp.errors import DataError

# From taking one to making the next: who took it has begun its step by then, and waits for the interpreter no more.
PAUSE_SECONDS = 0.005
CLOSING_SECONDS = 5.0  # that what is half made is waited for, when no more is wanted


def prefetch(make: Callable[[int], Any], numbers: range, workers: int) -> Iterator[Any]:
    """make(number) for every number, in their order; what `make` raises is raised in its place.

    workers: processes that call `make`; 0: a thread does. A thread has one more item ready than was taken. It also
    receives what workers give: each of their tensors comes as an open file, by two handshakes between processes.
    """
    made = _by_workers(make, numbers, workers) if workers else map(make, numbers)
    taken: queue.SimpleQueue[Any] = queue.SimpleQueue()
    room, closed = threading.Semaphore(1), threading.Event()
    thread = threading.Thread(target=_take, args=(made, taken, room, closed), daemon=True)
    thread.start()
    try:
        while not isinstance(found := taken.get(), _End):
            room.release()
            yield found
        if found.error is not None:
            raise found.error
    finally:
        closed.set()
        room.release()
        thread.join(CLOSING_SECONDS)
        del made  # workers end with it, which the traceback of an error would keep


class _End:
    """Nothing comes after this. error: why, if it is not that all numbers were made."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


def _take(
    made: Iterator[Any], taken: queue.SimpleQueue[Any], room: threading.Semaphore, closed: threading.Event
) -> None:
    """Put each into the queue, one ahead of the last that was taken from it."""
    while room.acquire() and not closed.wait(PAUSE_SECONDS):
        try:
            found = next(made, _End())
        except Exception as error:  # noqa: BLE001  (raised where the batch would have come)
            found = _End(error)
        if isinstance(found, DataError):
            found = _End(found)
        taken.put(found)
        if isinstance(found, _End):
            break
    del made  # also from the traceback of an error, which holds this frame


def _by_workers(make: Callable[[int], Any], numbers: range, workers: int) -> Iterator[Any]:
    """The same from worker processes, started at once; a DataError is an item, not raised."""
    return iter(
        DataLoader(
            _Steps(make), batch_size=None, sampler=numbers, num_workers=workers, prefetch_factor=2,
            multiprocessing_context="fork", worker_init_fn=_ignore_signals,
            generator=torch.Generator(),  # its own: the global one belongs to the training
        )
    )  # fmt: skip


class _Steps(Dataset[Any]):
    """Step or batch number -> what `make` gives for it; runs in the workers."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self.make = make

    def __getitem__(self, step: int) -> Any:
        try:
            return self.make(step)
        except DataError as error:
            return error  # raised, it would come out of the DataLoader wrapped in a traceback


def _ignore_signals(_: int) -> None:
    """In a worker: what is meant for the training process (it checkpoints and then stops its workers) is not for it."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(name, signal.SIG_IGN)
