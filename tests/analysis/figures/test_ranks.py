"""Figures of MdR and MnR, of which less is better: further up and further right is better all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.figures import ablation, pareto
from analysis.runs.load import load
from analysis.stats import cost as costs
from analysis.stats.metric import Metric
from analysis.stats.summary import Summary, summarise
from tests.analysis.folders import Builder


def summary(folder: Path, sweep: str, metric: str = "MdR") -> Summary:
    Builder(folder, queries=100).sweep(sweep, seeds=(0, 1, 2))
    found = load(folder)
    return summarise(found.sweeps[0], found, metric=Metric(metric))


def test_axes_run_from_the_worst_to_the_best(tmp_path: Path) -> None:
    left, right = ablation.draw(summary(tmp_path / "toggles", "objectives")).axes
    assert left.get_xlim()[0] > left.get_xlim()[1] > 0
    assert right.get_xlim()[0] == -right.get_xlim()[1] > 0
    assert right.get_xlabel() == "difference to the base, MdR (ranks)"
    upper = ablation.draw(summary(tmp_path / "curves", "mask_ratio")).axes[0]
    assert upper.get_ylim()[0] > upper.get_ylim()[1] > 0
    assert "lower is better" in upper.get_ylabel()
    (image,) = ablation.draw(summary(tmp_path / "grid", "mask_grid")).axes[0].get_images()
    assert image.get_cmap().name == "cividis_r"


@pytest.mark.parametrize("metric", ["MdR", "MnR"])
def test_the_front_has_the_lowest_ranks(tmp_path: Path, metric: str) -> None:
    found = summary(tmp_path, "objectives", metric)
    front = pareto.pareto_front(found.finished_rows, costs.time(found.rows))
    means = [np.mean([run.metrics["test"]["text_to_video"][metric] for run in row.runs.values()]) for row in found.rows]
    assert front[-1].score() == pytest.approx(min(means))
    assert [row.score() for row in front] == sorted((row.score() for row in front), reverse=True)
    panel = pareto.draw(found).axes[0]
    assert panel.get_ylim()[0] > panel.get_ylim()[1]
