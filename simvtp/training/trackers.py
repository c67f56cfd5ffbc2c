"""The numbers of a stage's log, also in TensorBoard or Weights & Biases: `SIMVTP_SCALARS=tensorboard,wandb`.

The log is the truth. A stage that starts or resumes first brings each place up to the log, which was cut at the step of
the checkpoint, so no point is there twice. What is wanted is a variable of the environment and no config field: it
changes no outcome, so no id. `python -m simvtp.training.trackers results/ --to tensorboard` does it for stages that
are over.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from simvtp.errors import ConfigError, nearest
from simvtp.runtime.files import read_json

VARIABLE = "SIMVTP_SCALARS"
KINDS = ("tensorboard", "wandb")
NO_SCALARS = ("time", "step", "steps", "epoch", "seconds_left")

Line = Mapping[str, Any]


class Place(Protocol):
    """Somewhere that lines of a log are shown."""

    def add(self, line: Line) -> None:
        """A line that is new in the log."""

    def close(self) -> None: ...


def wanted(text: str | None = None) -> tuple[str, ...]:
    """The kinds that a text, or the variable, names; raises ConfigError for one that is unknown or not installed."""
    text = os.environ.get(VARIABLE, "") if text is None else text
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for kind in found:
        if kind not in KINDS:
            raise ConfigError(f"{VARIABLE}: {kind!r} is not known; it takes {', '.join(KINDS)}{nearest(kind, KINDS)}")
        if importlib.util.find_spec(kind) is None:
            raise ConfigError(f"{VARIABLE}: {kind} is not installed; pip install 'simvtp[{kind}]'")
    return found


def export() -> str:
    """A shell line that gives a job what this process was asked for."""
    return f"export {VARIABLE}={shlex.quote(os.environ.get(VARIABLE, ''))}"


def scalars(line: Line) -> dict[str, float]:
    """A line of the log -> numbers by name: pretrain/loss, finetune/lr, validation/R@1."""
    return {
        f"{line['stage']}/{name}": float(value)
        for name, value in line.items()
        if name not in NO_SCALARS and isinstance(value, int | float)
    }


def lines_of(log: Path) -> list[Line]:
    """The whole lines of a log."""
    found = []
    for text in log.read_text(errors="replace").splitlines() if log.exists() else ():
        try:
            found.append(json.loads(text))
        except ValueError:
            continue  # cut by a kill
    return found


class TensorBoard:
    """An event file beside the log, events/; written anew from the log at every start, which takes no time."""

    def __init__(self, folder: Path, lines: Iterable[Line]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        events = folder / "events"
        for old in events.glob("events.out.tfevents.*"):
            old.unlink()
        self.writer = SummaryWriter(str(events))
        for line in lines:
            self.add(line)

    def add(self, line: Line) -> None:
        for name, value in scalars(line).items():
            self.writer.add_scalar(name, value, line["step"], walltime=line["time"])

    def close(self) -> None:
        self.writer.close()


class Wandb:
    """A run of W&B by the id of the stage's folder, gone on with after a kill.

    Each start sends the log from its first line. Online, W&B says how far it has come (`run.step`), and earlier steps,
    which are the same, are left out; offline, the copy of an earlier start that was not synchronised is replaced, since
    a kill leaves it without its last points. Where W&B does not answer, training goes on without it. Mode, project,
    entity and key are W&B's own variables.
    """

    def __init__(self, folder: Path, lines: Iterable[Line]) -> None:
        import wandb

        for old in (folder / "wandb").glob("offline-run-*"):
            if not list(old.glob("*.synced")):
                shutil.rmtree(old)
        config = read_json(folder / "config.json")
        try:
            self.run = wandb.init(
                id=folder.name, name=folder.name, dir=folder, resume="allow", job_type=folder.parent.name,
                project=os.environ.get("WANDB_PROJECT", "simvtp"), config=config["config"], tags=[config["preset"]],
            )  # fmt: skip
        except wandb.errors.Error as error:
            print(
                f"W&B: {error}; `python -m simvtp.training.trackers {folder} --to wandb` sends the log later",
                file=sys.stderr,
            )
            self.run = None
            return
        self.first = self.run.step
        for line in lines:
            self.add(line)

    def add(self, line: Line) -> None:
        if self.run is not None and line["step"] >= self.first:
            self.run.log(scalars(line), step=line["step"])

    def close(self) -> None:
        if self.run is not None:
            self.run.finish()


PLACES: dict[str, Callable[[Path, Iterable[Line]], Place]] = {"tensorboard": TensorBoard, "wandb": Wandb}


def places(log: Path, kinds: Iterable[str]) -> list[Place]:
    """Places of these kinds for a stage's log, each up to its last line."""
    return [PLACES[kind](log.parent, lines_of(log)) for kind in kinds]


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m simvtp.training.trackers", description=__doc__)
    parser.add_argument("results", type=Path, help="a results folder, or the folder of one run or stage")
    parser.add_argument("--to", required=True, metavar="KINDS", help=" or ".join(KINDS) + ", with a comma")
    arguments = parser.parse_args(words)
    try:
        kinds = wanted(arguments.to)
        logs = sorted(arguments.results.rglob("log.jsonl"))
        if not logs:
            raise ConfigError(f"{arguments.results}: there is no log.jsonl in it or below it")
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for log in logs:
        for place in places(log, kinds):
            place.close()
    print(f"{len(logs)} logs are in {' and '.join(kinds)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
