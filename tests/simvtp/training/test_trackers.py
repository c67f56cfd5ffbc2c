"""What is shown beside the log: every point once, whatever was killed."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from simvtp.config.experiment import Experiment
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.errors import ConfigError
from simvtp.run import run
from simvtp.runtime.files import write_json
from simvtp.training import trackers
from simvtp.training.progress import Log
from simvtp.training.trackers import Line, lines_of

LINE = {"time": 5.0, "stage": "finetune", "step": 3, "steps": 9, "epoch": 1.5, "lr": 0.1, "loss": 2, "seconds_left": 4}


@dataclasses.dataclass
class Shown:
    """A tracker that keeps what it is given, from each start on."""

    starts: list[list[Line]]
    closed: int = 0

    def open(self, folder: Path, lines: Iterable[Line]) -> Shown:  # noqa: ARG002
        self.starts.append(list(lines))
        return self

    def add(self, line: Line) -> None:
        self.starts[-1].append(line)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    received = Shown([])
    monkeypatch.setattr(trackers, "KINDS", ("json",))  # a module that is always there
    monkeypatch.setitem(trackers.TRACKERS, "json", received.open)
    monkeypatch.setenv(trackers.VARIABLE, "json")
    return received


def test_numbers_have_the_name_of_their_stage_and_bookkeeping_is_left_out() -> None:
    assert trackers.scalars(LINE) == {"finetune/lr": 0.1, "finetune/loss": 2.0}
    assert trackers.scalars({"time": 1.0, "stage": "validation", "of": "finetune", "step": 3, "R@1": 12.5}) == {
        "validation/R@1": 12.5
    }


def test_what_is_unknown_or_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trackers.wanted("") == ()
    with pytest.raises(ConfigError, match="did you mean 'tensorboard'"):
        trackers.wanted("tensorbord")
    monkeypatch.setattr(trackers, "KINDS", ("no_such_module",))
    with pytest.raises(ConfigError, match=r"no_such_module is not installed; pip install 'simvtp\[no_such_module\]'"):
        trackers.wanted("no_such_module")


def test_a_resume_shows_the_log_as_it_was_cut_and_goes_on(tmp_path: Path, shown: Shown) -> None:
    first = Log(tmp_path / "log.jsonl", "pretrain")
    first.open_trackers()
    for step in (1, 2, 3, 4):
        first.write(step=step, loss=float(step))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"time": 1, "stage": "pretr')  # and then it was killed; its checkpoint is of step 2
    second = Log(tmp_path / "log.jsonl", "pretrain")
    second.cut_after(2)
    second.open_trackers()
    with second:
        for step in (3, 4, 5):
            second.write(step=step, loss=float(step))
    assert [line["step"] for line in shown.starts[-1]] == [1, 2, 3, 4, 5]
    assert shown.starts[-1] == lines_of(tmp_path / "log.jsonl")
    assert shown.closed == 1


def test_a_run_shows_both_its_stages_and_the_same_id_and_result(
    quick: dict[str, str], tmp_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = override(preset("tiny"), {**quick, "finetune.length": "1 epochs"})
    tracked = run(Experiment(config, "tiny", tmp_path / "a"))
    assert [{line["stage"] for line in start} for start in shown.starts] == [{"pretrain"}, {"finetune", "validation"}]
    assert shown.closed == 2
    monkeypatch.delenv(trackers.VARIABLE)
    without = run(Experiment(config, "tiny", tmp_path / "b"))
    assert tracked.parent.name == without.parent.name
    for name in ("last.safetensors", "finetuned.safetensors"):
        assert (tracked.parent / name).read_bytes() == (without.parent / name).read_bytes()


def test_event_files_hold_each_point_once_at_its_time(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl", "finetune")
    for step in (1, 2, 3):
        log.write(step=step, loss=float(step))
    for _ in range(2):  # the second as after a kill
        for tracker in trackers.open_trackers(log.path, ("tensorboard",)):
            tracker.add({**LINE, "step": 4})
            tracker.close()
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("finetune/loss")] == [(1, 1), (2, 2), (3, 3), (4, 2)]
    assert events.Scalars("finetune/loss")[-1].wall_time == 5.0


def test_offline_copies_of_wandb_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    write_json(tmp_path / "config.json", {"preset": "tiny", "config": {"mask.video": 0.9}})
    lines: list[dict[str, Any]] = [{**LINE, "step": step} for step in (1, 2, 3)]
    for _ in range(2):
        tracker = trackers.Wandb(tmp_path, lines)
        tracker.add({**LINE, "step": 4})
        assert tracker.run is not None
        assert tracker.run.step == 4
        assert dict(tracker.run.summary)["finetune/loss"] == 2.0
        tracker.close()
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 1


def killed_and_resumed(tmp_path: Path, kind: str) -> None:
    """Three steps, as before a kill, then the same and a fourth."""
    write_json(tmp_path / "config.json", {"preset": "tiny", "config": {"mask.video": 0.9}})
    lines: list[dict[str, Any]] = [{**LINE, "step": step, "R@1": 10.0 * step} for step in (1, 2, 3)]
    for more in ([], [{**LINE, "step": 4, "R@1": 40.0}]):
        tracker = trackers.TRACKERS[kind](tmp_path, lines)
        for line in more:
            tracker.add(line)
        tracker.close()


@pytest.mark.slow
def test_trackio_has_each_point_once(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    code = (
        "import sys; from pathlib import Path; from tests.simvtp.training.test_trackers import killed_and_resumed\n"
        "import trackio; from trackio.sqlite_storage import SQLiteStorage\n"
        "killed_and_resumed(Path(sys.argv[1]), 'trackio')\n"
        "(run,) = trackio.Api().runs('simvtp')\n"
        "points = [(line['step'], line['finetune/R@1']) for line in SQLiteStorage.get_logs('simvtp', run.name)]\n"
        "assert run.name == Path(sys.argv[1]).name and run.config['mask.video'] == 0.9, (run.name, run.config)\n"
        "assert points == [(1, 10), (2, 20), (3, 30), (4, 40)], points"
    )
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio")}  # it is read when trackio is imported
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_mlflow_has_each_point_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    killed_and_resumed(tmp_path, "mlflow")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("simvtp").experiment_id])
    points = client.get_metric_history(run.info.run_id, "finetune/R_at_1")
    assert [(point.step, point.value, point.timestamp) for point in points] == [
        (step, 10.0 * step, 5000) for step in (1, 2, 3, 4)
    ]
    assert run.data.params == {"mask.video": "0.9"}
    assert run.info.status == "FINISHED"
