"""Points beside each other: what is inside the picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.axes import Axes

from analysis.figures.bars import toggles
from analysis.runs.load import load
from analysis.stats.summary import summarise
from tests.analysis.folders import Builder


def _seeds(panel: Axes) -> list[float]:
    circles = [line for line in panel.get_lines() if line.get_marker() == "o" and line.get_markersize() < 3]
    return [float(value) for line in circles for value in line.get_xdata()]


@pytest.mark.parametrize("deviation", [0.05, 3.0])
def test_every_seed_is_inside_both_panels(tmp_path: Path, deviation: float) -> None:
    """With many seeds the interval of a mean ends before the outermost of them."""
    Builder(tmp_path, queries=100, deviation=deviation).sweep("objectives", seeds=range(20))
    results = load(tmp_path)
    summary = summarise(results.sweeps[0], results)
    left, right = toggles(summary).axes
    levels = [value for row in summary.rows for value in row.values("R@1")]
    assert sorted(_seeds(left)) == pytest.approx(sorted(levels))
    assert left.get_xlim()[0] == 0
    assert max(levels) < left.get_xlim()[1]
    assert len(_seeds(right)) == 20 * (len(summary.rows) - 1)
    assert max(abs(gap) for gap in _seeds(right)) < right.get_xlim()[1] == -right.get_xlim()[0]
