"""A function over many items in fresh processes, each of which may hang or crash.

The workers are plain `python -m simvtp.runtime.worker_pool` processes fed through pipes. Pools of `multiprocessing` (as
`concurrent.futures` and `pebble` use) import the caller's `__main__` in every worker, hence torch, need a guard in the
caller's script, and may not be started in a worker of a DataLoader, where video readers are. A worker ends when its
pipe closes, so none outlives the caller, however that ends.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import pickle
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import rich.console
import rich.progress

from simvtp.errors import DataError, printable

log = logging.getLogger(__name__)

CHUNK = 16  # items that a worker is given at a time, where each has no time limit of its own

Function = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Failure:
    """An item that gave no answer, and why: it took longer than its time, or ended the worker's process."""

    why: str


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(
    function: Function,
    shared: Any,
    items: Sequence[Any],
    title: str,
    *,
    seconds: float | None = None,
    workers: int | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield (item, function(shared, item)) in the order of completion, with a progress bar on a terminal.

    function: of a module's top level; shared: its first argument, sent once a worker; title: shown at the bar;
    workers: how many processes, by default one a core. seconds: time limit of an item; with one, an item that takes
    longer or ends its worker gives (item, Failure), and the rest goes on.
    Raises DataError as the function does, and RuntimeError where a worker ends without a time limit, or cannot start.
    """
    chunk = CHUNK if seconds is None else 1
    todo: queue.SimpleQueue[Sequence[Any]] = queue.SimpleQueue()
    for first in range(0, len(items), chunk):
        todo.put(items[first : first + chunk])
    done: queue.SimpleQueue[list[tuple[Any, Any]] | Exception] = queue.SimpleQueue()
    running = [Worker(function, shared, seconds) for _ in range(min(workers or cores(), todo.qsize()))]
    for worker in running:
        threading.Thread(target=_feed, args=(worker, todo, done), daemon=True).start()
    try:
        with Bar(title, len(items)) as advance:
            left = len(items)
            while left:
                results = done.get()
                if isinstance(results, Exception):
                    raise results
                left -= len(results)
                advance(len(results))
                yield from results
    finally:
        for worker in running:
            worker.stop()


class Worker:
    """A process that computes function(shared, item); started when it is needed, and again after it was lost.

    seconds: how long a call may take; None: any time. One thread at a time may use it.
    """

    def __init__(self, function: Function, shared: Any, seconds: float | None) -> None:
        main = sys.modules["__main__"].__spec__ if function.__module__ == "__main__" else None  # python -m NAME
        self.head = (main.name if main else function.__module__, function.__qualname__, shared)
        self.seconds = seconds
        self.process: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def answer(self, item: Any) -> Any:
        """What the function gives, or Failure; raises DataError as the function does."""
        answers = self.answers([item])
        return answers if isinstance(answers, Failure) else answers[0]

    def answers(self, items: Sequence[Any]) -> list[Any] | Failure:
        """The same for several items, one after another in one call."""
        if self.process is None:
            self.process = self._started()
        assert self.process.stdout
        try:
            _send(self.process, items)
            if not select.select([self.process.stdout], [], [], self.seconds)[0]:
                self.process.kill()
                self._ended()
                return Failure(f"not read within {self.seconds:g} s")
            answer = pickle.load(self.process.stdout)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return Failure(f"the process that read it ended (exit code {self._ended()})")
        if isinstance(answer, DataError):
            raise answer
        return list(answer)

    def stop(self) -> None:
        """End the process; the worker is not used again."""
        self.stopped = True
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        """A process that has imported the function; raises RuntimeError if it cannot."""
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)  # noqa: PTH109
        command = [sys.executable, "-m", "simvtp.runtime.worker_pool"]
        environment = os.environ | {"PYTHONPATH": paths}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        assert process.stdout
        try:
            _send(process, self.head)
            pickle.load(process.stdout)
        except (EOFError, BrokenPipeError) as error:
            code = process.wait()
            raise RuntimeError(
                f"a worker for {self.head[0]} does not start (exit code {code}); its message is above"
            ) from error
        return process

    def _ended(self) -> int:
        process, self.process = self.process, None
        assert process
        return process.wait()


def _send(process: subprocess.Popen[bytes], content: Any) -> None:
    assert process.stdin
    pickle.dump(content, process.stdin)
    process.stdin.flush()


def _feed(
    worker: Worker,
    todo: queue.SimpleQueue[Sequence[Any]],
    done: queue.SimpleQueue[list[tuple[Any, Any]] | Exception],
) -> None:
    """Give one worker chunks until none is left."""
    while not worker.stopped:
        try:
            chunk = todo.get_nowait()
        except queue.Empty:
            return
        try:
            answers = worker.answers(chunk)
            if isinstance(answers, Failure) and worker.seconds is None:
                raise RuntimeError(f"a worker of {worker.head[0]}: {answers.why}; its message is above")
            done.put(list(zip(chunk, [answers] if isinstance(answers, Failure) else answers, strict=True)))
        except Exception as error:  # noqa: BLE001  (raised in the caller's thread)
            done.put(error)
            return


def _serve(source: IO[bytes], results: IO[bytes]) -> None:
    """Loop of a worker: reads the function, then items until the pipe closes."""
    module, name, shared = pickle.load(source)
    function = getattr(importlib.import_module(module), name)
    answer: Any = "ready"
    with contextlib.suppress(EOFError):
        while True:
            pickle.dump(answer, results)
            results.flush()
            items = pickle.load(source)
            try:
                answer = [function(shared, item) for item in items]
            except DataError as error:
                answer = error


def check_seconds(seconds: float) -> None:
    """Raise DataError if --seconds is no time limit."""
    if not 0 < seconds < 1e9:
        raise DataError(f"--seconds {seconds:g}: it takes more than 0, such as 60")


class Bar:
    """`with Bar(title, total) as advance:` a rich bar on a terminal, one line of log before the work elsewhere.

    total: number of items; alone: the work is done by this process itself.
    """

    def __init__(self, title: str, total: int, *, alone: bool = False) -> None:
        terminal = sys.stderr.isatty()
        columns = (
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeRemainingColumn(),
        )
        console = rich.console.Console(stderr=True)
        self.progress = rich.progress.Progress(*columns, console=console, disable=not terminal)
        self.task = self.progress.add_task(printable(title), total=total)
        if not terminal:
            log.info("%s: %d%s", title, total, "" if alone else f" on {cores()} cores")

    def __enter__(self) -> Callable[[int], None]:
        self.progress.start()
        return lambda count: self.progress.advance(self.task, count)

    def __exit__(self, *error: object) -> None:
        self.progress.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's business, and ends this process with it
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    _serve(sys.stdin.buffer, out)
