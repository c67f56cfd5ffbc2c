"""A function over many items in fresh processes.

The workers are plain `python -m simvtp.runtime.worker_pool` processes fed through pipes. Unlike multiprocessing,
that needs
no `__main__` guard in the caller's script, imports nothing but the function's own module (torch stays out), and forks
no process that may hold threads, locks or open video readers. A worker ends when its pipe closes, so none outlives the
caller, however it dies.
"""

from __future__ import annotations

import importlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

import rich.console
import rich.progress

from simvtp.errors import DataError
from simvtp.runtime.cache_dir import say

CHUNK = 16


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(
    function: Callable[[Any, Any], Any], shared: Any, items: Sequence[Any], title: str
) -> Iterator[tuple[Any, Any]]:
    """Yield (item, function(shared, item)) in the order of completion, with a progress bar on a terminal.

    `function` is a module-level function. A DataError of it is raised here as it is, another exception as
    RuntimeError with the worker's traceback above it on stderr.
    """
    workers = min(cores(), (len(items) + CHUNK - 1) // CHUNK)
    todo: queue.SimpleQueue[Sequence[Any]] = queue.SimpleQueue()
    for first in range(0, len(items), CHUNK):
        todo.put(items[first : first + CHUNK])
    done: queue.SimpleQueue[list[tuple[Any, Any]] | Exception] = queue.SimpleQueue()
    processes = [start() for _ in range(workers)]
    for process in processes:
        threading.Thread(target=_feed, args=(process, function, shared, todo, done), daemon=True).start()
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
        for process in processes:
            process.kill()
            process.wait()


def start() -> subprocess.Popen[bytes]:
    """A worker that waits for a function and its items."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}  # noqa: PTH109
    command = [sys.executable, "-m", "simvtp.runtime.worker_pool"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def _feed(
    process: subprocess.Popen[bytes],
    function: Callable[[Any, Any], Any],
    shared: Any,
    todo: queue.SimpleQueue[Sequence[Any]],
    done: queue.SimpleQueue[list[tuple[Any, Any]] | Exception],
) -> None:
    """Give one worker chunks until none is left."""
    assert process.stdin
    assert process.stdout
    try:
        pickle.dump((function.__module__, function.__qualname__, shared), process.stdin)
        while True:
            try:
                chunk = todo.get_nowait()
            except queue.Empty:
                process.stdin.close()
                return
            pickle.dump(chunk, process.stdin)
            process.stdin.flush()
            answer = pickle.load(process.stdout)
            if isinstance(answer, DataError):
                done.put(answer)
                return
            done.put(list(zip(chunk, answer, strict=True)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        why = f"exit code {process.wait()}"
        done.put(RuntimeError(f"a worker of {function.__module__} died, {why}; its message, if it left one, is above"))
    except Exception as error:  # noqa: BLE001  (raised in the caller's thread)
        done.put(error)


def _serve(source: IO[bytes], answers: IO[bytes]) -> None:
    """A worker's life: the function first, then chunks until the pipe closes."""
    module, name, shared = pickle.load(source)
    function = getattr(importlib.import_module(module), name)
    while True:
        try:
            chunk = pickle.load(source)
        except EOFError:
            return
        try:
            answer: Any = [function(shared, item) for item in chunk]
        except DataError as error:
            answer = error
        pickle.dump(answer, answers)
        answers.flush()


class Bar:
    """`with Bar(title, total) as advance:` a rich bar on a terminal, one line before the work elsewhere.

    alone: the work is done by this process itself.
    """

    def __init__(self, title: str, total: int, *, alone: bool = False) -> None:
        self.terminal = sys.stderr.isatty()
        columns = (
            "{task.description}",
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            rich.progress.TimeRemainingColumn(),
        )
        console = rich.console.Console(stderr=True)
        self.progress = rich.progress.Progress(*columns, console=console, disable=not self.terminal)
        self.task = self.progress.add_task(title, total=total)
        if not self.terminal:
            say(f"{title}: {total}" + ("" if alone else f" on {cores()} cores"))

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
