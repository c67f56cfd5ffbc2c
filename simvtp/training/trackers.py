"""Trackers that show a stage's log: TensorBoard, trackio, MLflow and Weights & Biases, with `SIMVTP_SCALARS=trackio`.

log.jsonl is the truth. A stage that starts or resumes first brings each tracker up to the log, which was cut at the
step of the checkpoint, so no point is there twice. `python -m simvtp.training.trackers results/ --to tensorboard` does
it for stages that are over.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import logging
import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from simvtp.cli import Parser, main
from simvtp.errors import ConfigError, nearest
from simvtp.runtime.files import read_json
from simvtp.training.log_lines import log_lines

log = logging.getLogger(__name__)

# In the environment and no config field: trackers change no outcome, so no id.
VARIABLE = "SIMVTP_SCALARS"
KINDS = ("tensorboard", "trackio", "mlflow", "wandb")
PROJECT = "simvtp"  # by default, in trackers that have projects
TAG = "simvtp.id"  # of an MLflow run: the id of the run or stage
MOST_PARAMETERS = 100  # that MLflow takes at once

NO_SCALARS = ("time", "step", "steps", "epoch", "seconds_left")

Line = Mapping[str, Any]


def wanted(text: str | None = None) -> tuple[str, ...]:
    """The trackers that `text`, by default the variable, names, in its order.

    Raises ConfigError for one that is unknown or not installed.
    """
    text = os.environ.get(VARIABLE, "") if text is None else text
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in KINDS:
            raise ConfigError(f"{VARIABLE}: {name!r} is not known; it takes {', '.join(KINDS)}{nearest(name, KINDS)}")
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"{VARIABLE}: {name} is not installed; pip install 'simvtp[{name}]'")
    return names


def export() -> str:
    """The shell line that gives a job the variable of this process."""
    return f"export {VARIABLE}={shlex.quote(os.environ.get(VARIABLE, ''))}"


class Tracker(Protocol):
    """Shows the lines of a log elsewhere."""

    def add(self, line: Line) -> None:
        """Show a line that is new in the log."""

    def close(self) -> None:
        """Send what is not sent yet; nothing is added after it."""


def scalars(line: Line) -> dict[str, float]:
    """The numbers of a line of the log by name: pretrain/loss, finetune/lr, validation/R@1."""
    return {
        f"{line['stage']}/{name}": float(value)
        for name, value in line.items()
        if name not in NO_SCALARS and isinstance(value, int | float)
    }


def lines_of(log: Path) -> list[Line]:
    """The whole lines of a log; one that a kill cut is left out."""
    return list(log_lines(log.read_bytes())) if log.exists() else []


class TensorBoard:
    """An event file in events/ beside the log, written anew from the log at every start.

    folder: the stage's folder; lines: its log so far.
    """

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
    """A run of W&B with the id of the stage's folder, continued after a kill.

    folder: the stage's folder, whose config.json becomes the run's config; lines: its log so far.

    Each start sends the log from its first line. Online, W&B says how far it has come (`run.step`), and earlier steps,
    which are the same, are left out. Offline, the copy of an earlier start that was not synchronised is replaced, since
    a kill leaves it without its last points. Where W&B does not answer, training goes on without it. Mode, project,
    entity and key are W&B's own variables.
    """

    def __init__(self, folder: Path, lines: Iterable[Line]) -> None:
        import wandb

        for old in (folder / "wandb").glob(f"offline-run-*-{glob.escape(folder.name)}"):
            if not list(old.glob("*.synced")):
                shutil.rmtree(old)
        config = read_json(folder / "config.json")
        try:
            self.run = wandb.init(
                id=folder.name, name=folder.name, dir=folder, resume="allow", job_type=folder.parent.name,
                project=os.environ.get("WANDB_PROJECT", PROJECT), config=config["config"], tags=[config["preset"]],
            )  # fmt: skip
        except wandb.errors.Error as error:
            log.warning(
                "W&B: %s; `python -m simvtp.training.trackers %s --to wandb` sends the log later", error, folder
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


class Trackio:
    """A run of trackio (local-first) with the name of the stage's folder, written anew from the log at every start.

    folder: the stage's folder, whose config.json becomes the run's config; lines: its log so far. Where it is kept is
    trackio's own matter (TRACKIO_DIR, TRACKIO_SPACE_ID); the project is $TRACKIO_PROJECT, by default simvtp.
    """

    def __init__(self, folder: Path, lines: Iterable[Line]) -> None:
        import trackio

        project, config = os.environ.get("TRACKIO_PROJECT", PROJECT), read_json(folder / "config.json")
        known: Any = ()
        with contextlib.suppress(ValueError):  # there is no such project yet
            known = trackio.Api().runs(project)
        for old in known:
            if old.name == folder.name:
                old.delete()
        self.run = trackio.init(
            project, name=folder.name, group=folder.parent.name, config=config["config"], embed=False,
            auto_log_gpu=False, auto_log_cpu=False,
        )  # fmt: skip
        for line in lines:
            self.add(line)

    def add(self, line: Line) -> None:
        self.run.log(scalars(line), step=line["step"])

    def close(self) -> None:
        self.run.finish()


class Mlflow:
    """A run of MLflow with the name of the stage's folder, continued after a kill.

    folder: the stage's folder, whose config.json becomes the run's parameters; lines: its log so far. Each start sends
    of every number the steps that are not there yet; earlier ones are the same. Server and experiment are MLflow's own
    variables, MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME, by default simvtp. MLflow allows no @ in a name: R@1 is
    R_at_1 there.
    """

    def __init__(self, folder: Path, lines: Iterable[Line]) -> None:
        import mlflow

        self.client = mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = self.client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment is not None else self.client.create_experiment(name)
        runs = self.client.search_runs([number], f"tags.`{TAG}` = '{folder.name}'")
        if runs:
            self.run = runs[0].info.run_id
            self.client.update_run(self.run, status="RUNNING")
        else:
            tags = {TAG: folder.name, "simvtp.kind": folder.parent.name}
            self.run = self.client.create_run(number, run_name=folder.name, tags=tags).info.run_id
            config = read_json(folder / "config.json")["config"]
            parameters = [mlflow.entities.Param(key, str(value)) for key, value in config.items()]
            for first in range(0, len(parameters), MOST_PARAMETERS):
                self.client.log_batch(self.run, params=parameters[first : first + MOST_PARAMETERS])
        self.sent: dict[str, int] = {}  # name -> its last step
        for line in lines:
            self.add(line)

    def add(self, line: Line) -> None:
        for name, value in scalars(line).items():
            name = name.replace("@", "_at_")
            if name not in self.sent:
                before = self.client.get_metric_history(self.run, name)
                self.sent[name] = max((point.step for point in before), default=-1)
            if line["step"] > self.sent[name]:
                self.client.log_metric(self.run, name, value, timestamp=int(1000 * line["time"]), step=line["step"])
                self.sent[name] = line["step"]

    def close(self) -> None:
        self.client.set_terminated(self.run)


TRACKERS: dict[str, Callable[[Path, Iterable[Line]], Tracker]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "mlflow": Mlflow,
    "wandb": Wandb,
}


def open_trackers(path: Path, kinds: Iterable[str]) -> list[Tracker]:
    """Trackers of these kinds for the log of a stage at `path`, each up to its last line."""
    return [TRACKERS[kind](path.parent, lines_of(path)) for kind in kinds]


def _main() -> None:
    parser = Parser(prog="python -m simvtp.training.trackers", description=__doc__)
    parser.add_argument("results", type=Path, help="a results folder, or the folder of one run or stage")
    parser.add_argument("--to", required=True, metavar="KINDS", help=" or ".join(KINDS) + ", with a comma")
    arguments = parser.parse_args()
    kinds = wanted(arguments.to)
    logs = [path for path in sorted(arguments.results.rglob("log.jsonl")) if _is_stage(path.parent)]
    if not logs:
        raise ConfigError(f"{arguments.results}: there is no log.jsonl of a run or stage in it or below it")
    for path in logs:
        for tracker in open_trackers(path, kinds):
            tracker.close()
    log.info("%d logs are in %s", len(logs), " and ".join(kinds))


def _is_stage(folder: Path) -> bool:
    """Whether a folder is of a run or a stage: trackers replace files beside its log, and none of other programs."""
    try:
        return {"preset", "config"} <= set(read_json(folder / "config.json"))
    except (OSError, ValueError, TypeError):
        return False


if __name__ == "__main__":
    main(_main)
