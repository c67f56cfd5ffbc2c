"""What a person sees while a stage runs: a bar on a terminal, a line now and then elsewhere, and log.jsonl."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import rich.console
import rich.progress

from simvtp.distributed.process_group import leads
from simvtp.runtime.files import write_bytes
from simvtp.training.trackers import Place, places, wanted

QUIET_SECONDS = 30.0


class Log:
    """Lines of JSON, appended by the leading process; the lines of steps that a resume does again are cut off first.

    places: where else the lines are shown (`simvtp/training/trackers.py`), from `open_places` to the end of `with
    log:`.
    """

    def __init__(self, path: Path, stage: str) -> None:
        self.path, self.stage = path, stage
        self.places: list[Place] = []

    def open_places(self) -> None:
        """Bring TensorBoard and W&B, where they are wanted, up to the log; they follow it from here."""
        if leads():
            self.places = places(self.path, wanted())

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place in self.places:
            place.close()
        self.places = []

    def cut_after(self, step: int) -> None:
        """Drop this stage's lines beyond `step`, and a line that a kill cut in half."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if not (entry.get("of", entry.get("stage")) == self.stage and entry.get("step", 0) > step):
                kept.append(line + "\n")
        write_bytes(self.path, "".join(kept).encode())

    def write(self, **entry: Any) -> None:
        if not leads():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            line = {"time": round(time.time(), 2), "stage": self.stage, **entry}
            file.write(json.dumps(line) + "\n")
        for place in self.places:
            place.add(line)


class Progress:
    """Steps done, loss, rate and time left of one stage."""

    def __init__(self, name: str, steps: int, first: int, batch: int) -> None:
        self.name, self.steps, self.first, self.batch, self.step = name, steps, first, batch, first
        self.began = self.said = time.monotonic()
        self.terminal, self.silent = sys.stderr.isatty(), not leads()
        columns = (
            "{task.description}",
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
            print(f"{self.name}: {self.steps - self.step} of {self.steps} steps to do", file=sys.stderr, flush=True)
        return self

    def advance(self, step: int, loss: float | None = None) -> None:
        self.step = step
        if loss is None:
            self.bar.update(self.task, completed=step)
            return
        self.bar.update(self.task, completed=step, loss=f"{loss:.3f}", rate=f"{self.rate():.0f}")
        if not (self.terminal or self.silent) and time.monotonic() - self.said > QUIET_SECONDS:
            self.said = time.monotonic()
            left = f"{self.seconds_left():.0f} s left"
            print(f"{self.name}: step {step} of {self.steps}, loss {loss:.3f}, {left}", file=sys.stderr, flush=True)

    def rate(self) -> float:
        """Samples a second since this process began the stage."""
        return round((self.step - self.first) * self.batch / max(time.monotonic() - self.began, 1e-6), 1)

    def seconds_left(self) -> float:
        rate = self.rate()
        return round((self.steps - self.step) * self.batch / rate, 1) if rate else 0.0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
