"""`analysis.load`: a results folder as tidy frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import analysis
from simvtp.errors import DataError
from tests.analysis.folders import Builder, edit, write, write_lines


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Builder(tmp_path, queries=50).sweep("mask_ratio", seeds=(0, 1), unfinished=[(3, 0), (6, 1)])
    return tmp_path


def _result(folder: Path, run: str) -> dict:
    return json.loads((folder / "runs" / run / "result.json").read_text())


def test_runs_have_settings_metrics_and_costs(folder: Path) -> None:
    frame = analysis.load(str(folder)).runs.set_index("run")
    assert len(frame) == 12
    for run, row in frame.iterrows():
        content = _result(folder, str(run))
        assert row["mask.video"] == content["config"]["mask.video"]
        assert row["seed"] == content["config"]["seed"]
        assert row["test.text_to_video.R@1"] == content["metrics"]["test"]["text_to_video"]["R@1"]
        assert row["test_seen.video_to_text.R@10"] == content["metrics"]["test_seen"]["video_to_text"]["R@10"]
        assert row["cost.pretrain_seconds"] == content["cost"]["pretrain_seconds"]
        assert row["losses.mvm"] == 0.9


def test_points_name_the_state_of_every_planned_run(folder: Path) -> None:
    sweep = json.loads((folder / "sweeps/mask_ratio-tiny/sweep.json").read_text())
    waiting = {(one["point"], one["seed"]): one["run"] for one in sweep["runs"]}
    write(folder / "runs" / waiting[3, 0] / "failure.json", {"error": "out of memory"})
    edit(folder / "runs" / waiting[0, 1] / "result.json", lambda c: c["config"].update({"mask.video": 0.6}))
    results = analysis.load(folder)
    points = results.points.set_index(["point", "seed"])
    assert len(points) == 14
    assert points.loc[("video 95%", 0), "state"] == "failed"
    assert points.loc[("text 90%", 1), "state"] == "missing"
    assert points.loc[("video 50%", 1), "state"] == "left out"
    assert (points["state"] == "finished").sum() == 11
    assert points[points["base"]].index.tolist() == [("base", 0), ("base", 1)]
    assert results.left_out["why"].tolist() == ["its mask.video is 0.6, the sweep's 0.5"]


def test_queries_are_the_stored_ranks(folder: Path) -> None:
    frame = analysis.load(folder).queries
    assert len(frame) == 12 * 2 * 50
    run = frame["run"].iloc[0]
    for direction in ("text_to_video", "video_to_text"):
        mine = frame[(frame["run"] == run) & (frame["direction"] == direction)]
        assert mine["rank"].tolist() == _result(folder, run)["ranks"]["test"][direction]
        assert mine["query"].tolist() == mine["video"].tolist() == list(range(50))


def test_captions_of_one_video_name_it(folder: Path) -> None:
    path = next(folder.glob("runs/*/result.json"))
    ranks = [1.0] * 100
    metrics = {"R@1": 100.0, "R@5": 100.0, "R@10": 100.0, "MdR": 1.0, "MnR": 1.0}

    def twice(content: dict) -> None:
        content["ranks"]["test"]["text_to_video"] = ranks
        content["metrics"]["test"]["text_to_video"] = metrics
        content["owners"] = [query // 2 for query in range(100)]

    edit(path, twice)
    frame = analysis.load(folder).queries
    mine = frame[(frame["run"] == path.parent.name) & (frame["direction"] == "text_to_video")]
    assert mine["video"].tolist() == [query // 2 for query in range(100)]


def test_curves_are_the_logged_values_the_later_ones_of_a_step(folder: Path) -> None:
    run = next(folder.glob("runs/*/result.json")).parent.name
    stage = _result(folder, run)["pretrain"]
    write_lines(folder / "runs" / run / "log.jsonl", [
        {"time": 0.0, "stage": "finetune", "step": 0, "epoch": 0.0, "loss": 3.0},
        {"time": 1.0, "stage": "finetune", "step": 0, "epoch": 0.0, "loss": 2.5},
        {"time": 2.0, "stage": "validation", "step": 8, "epoch": 2, "R@1": 12.5},
    ])  # fmt: skip
    write_lines(folder / "pretrained" / stage / "log.jsonl", [{"stage": "pretrain", "step": 4, "mvm": 0.9, "mlm": 2.0}])
    frame = analysis.load(folder).curves
    mine = frame[frame["run"] == run]
    rows = mine[["stage", "step", "name", "value"]].values.tolist()
    assert rows == [["finetune", 0, "loss", 2.5], ["validation", 8, "R@1", 12.5],
                    ["pretrain", 4, "mvm", 0.9], ["pretrain", 4, "mlm", 2.0]]  # fmt: skip
    assert np.isnan(mine["epoch"].iloc[2])


def test_a_folder_without_logs_has_no_curves_and_one_without_runs_is_refused(folder: Path, tmp_path: Path) -> None:
    assert analysis.load(folder).curves.empty
    with pytest.raises(DataError, match="Nothing to show"):
        analysis.load(tmp_path / "none")
