"""The notebook that goes from results to an own figure and an own paired test."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from tests.analysis.folders import Builder

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples/own_figure.py"


def test_it_runs_whole_and_its_numbers_are_those_of_the_ranks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = json.loads(Builder(tmp_path / "results", queries=80).sweep("mask_ratio", seeds=(0, 1)).read_text())
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(NOTEBOOK))
    assert (tmp_path / "results/figures/own_figure.png").stat().st_size > 5_000
    means = []
    for label in ("video 50%", "base"):
        index = next(k for k, point in enumerate(sweep["points"]) if point["label"] == label)
        runs = [run["run"] for run in sweep["runs"] if run["point"] == index]
        contents = [json.loads((tmp_path / f"results/runs/{run}/result.json").read_text()) for run in runs]
        means.append(np.mean([100 / np.array(content["ranks"]["test"]["text_to_video"]) for content in contents]))
    said = re.search(r"video 50% minus base: ([+-]\d+\.\d\d) points .* over 80 queries and 2 seeds, p = (\d\.\d+)",
                     capsys.readouterr().out)  # fmt: skip
    assert said is not None
    assert float(said[1]) == pytest.approx(means[0] - means[1], abs=0.006)
    assert 0 < float(said[2]) <= 1
