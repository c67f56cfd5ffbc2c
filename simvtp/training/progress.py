"""Progress of a stage: a bar on a terminal, a line now and then elsewhere, and log.jsonl."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import rich.console
import rich.progress

from simvtp.distributed.process_group import leads
from simvtp.runtime.files import write_bytes
from simvtp.runtime.locks import verify
from simvtp.runtime.permissions import explained, make_folder
from simvtp.training.log_lines import log_lines
from simvtp.training.trackers import Tracker, open_trackers, wanted

log = logging.getLogger(__name__)

QUIET_SECONDS = 30.0  # between two lines if there is no terminal


class Log:
    """Lines of JSON, appended by process 0; the lines of steps that a resume repeats are cut off first.

    path: log.jsonl; stage: the name that its lines carry. trackers: show the lines too (`simvtp/training/trackers.py`),
    from `open_trackers` to the end of `with log:`.
    """

    def __init__(self, path: Path, stage: str) -> None:
        self.path, self.stage = path, stage
        self.trackers: list[Tracker] = []

    def open_trackers(self) -> None:
        """Bring the trackers that $SIMVTP_SCALARS names up to the log; they follow it from here."""
        if leads():
            self.trackers = open_trackers(self.path, wanted())

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tracker in self.trackers:
            tracker.close()
        self.trackers = []

    def cut_after(self, step: int) -> None:
        """Drop this stage's lines beyond `step`, and a line that a kill cut in half."""
        if not self.path.exists():
            return
        kept = []
        for entry in log_lines(self.path.read_bytes()):
            if not (entry.get("of", entry["stage"]) == self.stage and entry["step"] > step):
                kept.append(json.dumps(entry) + "\n")
        write_bytes(self.path, "".join(kept).encode())

    def write(self, **entry: Any) -> None:
        """Append a line with the time, the stage and `entry`. Raises locks.LockLost as other writes do."""
        if not leads():
            return
        line = {"time": round(time.time(), 2), "stage": self.stage, **entry}
        verify(self.path)
        make_folder(self.path.parent)
        try:
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise explained(error, self.path) from error
        for tracker in self.trackers:
            tracker.add(line)


class Progress:
    """Steps done, loss, rate and time left of one stage.

    name: of the stage; steps: of the whole stage; first: steps that were done before this process; batch: samples a
    step.
    """

    def __init__(self, name: str, steps: int, first: int, batch: int) -> None:
        self.name, self.steps, self.first, self.batch, self.step = name, steps, first, batch, first
        self.began = self.logged = time.monotonic()
        self.terminal, self.silent = sys.stderr.isatty(), not leads()
        columns = (
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(),
            rich.progress.MofNCompleteColumn(),
            "loss {task.fields[loss]}",
            "{task.fields[rate]} samples/s",
            rich.progress.TimeRemainingColumn(),
        )
        console = rich.console.Console(stderr=True)
        self.bar = rich.progress.Progress(*columns, console=console, disable=self.silent or not self.terminal)
        self.task = self.bar.add_task(name, total=steps, completed=first, loss="", rate="")

    def __enter__(self) -> Progress:
        self.bar.start()
        if not (self.terminal or self.silent) and self.step < self.steps:
            log.info("%s: %d of %d steps to do", self.name, self.steps - self.step, self.steps)
        return self

    def advance(self, step: int, loss: float | None = None) -> None:
        """Show that `step` steps are done; loss: of the last one, where it was read."""
        self.step = step
        if loss is None:
            self.bar.update(self.task, completed=step)
            return
        self.bar.update(self.task, completed=step, loss=f"{loss:.3f}", rate=f"{self.rate():.0f}")
        if not (self.terminal or self.silent) and time.monotonic() - self.logged > QUIET_SECONDS:
            self.logged = time.monotonic()
            log.info(
                "%s: step %d of %d, loss %.3f, %.0f s left", self.name, step, self.steps, loss, self.seconds_left()
            )

    def rate(self) -> float:
        """Samples a second since this process began the stage."""
        return round((self.step - self.first) * self.batch / max(time.monotonic() - self.began, 1e-6), 1)

    def seconds_left(self) -> float:
        """At the rate so far; 0 if it is not known."""
        rate = self.rate()
        return round((self.steps - self.step) * self.batch / rate, 1) if rate else 0.0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
