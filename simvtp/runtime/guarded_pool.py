"""A function over many files that may hang or crash what reads them: each in a process that can be killed.

A decoder's C code hears no signal and raises nothing when it loops or ends the process, so a time limit has to come
from outside. Workers are those of `parallel`; one that was killed is replaced.
"""

from __future__ import annotations

import pickle
import queue
import select
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from simvtp.runtime.worker_pool import Bar, cores, start


@dataclass(frozen=True)
class Lost:
    """An item that gave no answer, and why."""

    why: str


def each_guarded(
    function: Callable[[Any, Any], Any],
    shared: Any,
    items: Sequence[Any],
    *,
    title: str,
    seconds: float,
    workers: int | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield (item, function(shared, item)) in the order of completion, or (item, Lost) where that ended its worker or
    took longer than `seconds`. `function` is a module-level function that catches what it expects.
    """
    todo: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for item in items:
        todo.put(item)
    done: queue.SimpleQueue[tuple[Any, Any] | Exception] = queue.SimpleQueue()
    running = [Guard(function, shared, seconds) for _ in range(min(workers or cores(), len(items)))]
    for worker in running:
        threading.Thread(target=_work, args=(worker, todo, done), daemon=True).start()
    try:
        with Bar(title, len(items)) as advance:
            for _ in items:
                answer = done.get()
                if isinstance(answer, Exception):
                    raise answer
                advance(1)
                yield answer
    finally:
        for worker in running:
            worker.stop()


class Guard:
    """A process that answers function(shared, item); started when it is needed, and again after it was lost."""

    def __init__(self, function: Callable[[Any, Any], Any], shared: Any, seconds: float) -> None:
        self.head = (function.__module__, function.__qualname__, shared)
        self.seconds = seconds
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def answer(self, item: Any) -> Any:
        """What the function gives, or Lost."""
        if self.process is None:
            self.process = self._started()
        assert self.process.stdout
        try:
            _send(self.process, [item])
            if not select.select([self.process.stdout], [], [], self.seconds)[0]:
                self.process.kill()
                self._gone()
                return Lost(f"not read within {self.seconds:g} s")
            (found,) = pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return Lost(f"the process that read it ended (exit code {self._gone()})")
        return found

    def _started(self) -> subprocess.Popen[bytes]:
        """A process that has imported the function; raises RuntimeError where it cannot."""
        process = start()
        assert process.stdout
        try:
            _send(process, self.head)
            _send(process, [])
            pickle.load(process.stdout)
        except (EOFError, BrokenPipeError) as error:
            code = process.wait()
            raise RuntimeError(
                f"a worker for {self.head[0]} does not start (exit code {code}); its message is above"
            ) from error
        return process

    def _gone(self) -> int:
        process, self.process = self.process, None
        assert process
        return process.wait()

    def stop(self) -> None:
        self.stopped = True
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def _send(process: subprocess.Popen[bytes], content: Any) -> None:
    assert process.stdin
    pickle.dump(content, process.stdin)
    process.stdin.flush()


def _work(worker: Guard, todo: queue.SimpleQueue[Any], done: queue.SimpleQueue[tuple[Any, Any] | Exception]) -> None:
    while not worker.stopped:
        try:
            item = todo.get_nowait()
        except queue.Empty:
            return
        try:
            done.put((item, worker.answer(item)))
        except Exception as error:  # noqa: BLE001  (raised in the caller's thread)
            done.put(error)
            return
