"""The metric that figures compare rows by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.runs.load import load
from analysis.stats.metric import R1, Metric
from analysis.stats.summary import summarise
from tests.analysis.folders import Builder


@pytest.mark.parametrize(
    ("metric", "name", "label", "suffix"),
    [(R1, "R@1", "R@1, text-to-video (%)", ""), (Metric("R@10"), "R@10", "R@10, text-to-video (%)", "-R10"),
     (Metric("R@1", "video_to_text"), "R@1", "R@1, video-to-text (%)", "-v2t"),
     (Metric("R@5", "video_to_text"), "R@5", "R@5, video-to-text (%)", "-R5-v2t"),
     (Metric("MdR"), "MdR", "MdR, text-to-video (rank, lower is better)", "-MdR")],
)  # fmt: skip
def test_names(metric: Metric, name: str, label: str, suffix: str) -> None:
    assert (metric.name, metric.label, metric.suffix) == (name, label, suffix)


@pytest.mark.parametrize(
    ("metric", "chance"), [(Metric("R@5", "video_to_text"), 5.0), (Metric("MdR"), 50.5), (Metric("MnR"), 50.5)]
)
def test_levels_and_differences_are_of_the_metric(tmp_path: Path, metric: Metric, chance: float) -> None:
    """Against the stored metrics and a difference of means, seed by seed."""
    Builder(tmp_path, queries=100).sweep("objectives", seeds=(0, 1, 2))
    results = load(tmp_path)
    summary = summarise(results.sweeps[0], results, metric=metric)
    stored = {row.label: [run.metrics["test"][metric.direction][metric.name] for run in row.runs.values()]
              for row in summary.rows}  # fmt: skip
    assert summary.chance == pytest.approx(chance)
    base = np.array(next(rates for label, rates in stored.items() if label.endswith("(base)")))
    for row in summary.rows:
        assert row.main.mean == pytest.approx(np.mean(stored[row.label]), abs=1e-3)
        assert list(row.scores()) == pytest.approx(stored[row.label])
        if row.difference:
            assert row.difference.interval.mean == pytest.approx(np.mean(stored[row.label] - base), abs=1e-3)
