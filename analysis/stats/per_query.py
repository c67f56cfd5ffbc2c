"""A metric as one value a query, whose mean is the metric: what intervals and paired differences are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from analysis.runs.schema import Run
from analysis.stats.intervals import Interval, interval, interval_of_ranks
from analysis.stats.metric import RECALLS, Metric

_Z = 1.96  # of a 95% interval


def stacked(runs: Mapping[int, Run], seeds: Sequence[int], metric: Metric) -> npt.NDArray[np.float32]:
    """[S, Q]: a row of values for each of `seeds`.

    Q: queries of the test; in text-to-video, videos where one has several captions (`Run.by_video`).
    """
    return np.stack([_values(runs[seed], metric) for seed in seeds])


def level(runs: Mapping[int, Run], metric: Metric) -> Interval:
    """The metric of some seeds with its interval."""
    values = stacked(runs, sorted(runs), metric)
    if not metric.is_rank:
        return interval(values)
    return interval_of_ranks(values, max(float(run.ranks[metric.direction].max()) for run in runs.values()))


def _values(run: Run, metric: Metric) -> npt.NDArray[np.float32]:
    if not metric.is_rank:
        return run.hits(metric.direction, RECALLS[metric.name])
    ranks = run.ranks[metric.direction]
    return run.by_video(ranks if metric.name == "MnR" else linearised_median(ranks), metric.direction)


def linearised_median(ranks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[Q] ranks -> [Q] values whose mean is the median of the ranks, and varies over samples as the median does.

    A value is m + (F(m) - [rank <= m]) s, with m the median, F the share of ranks up to it and s how fast quantiles
    rise there: between the quantiles that end the 95% interval of a half (Woodruff 1952; Francisco and Fuller 1991).
    """
    median, half = float(np.median(ranks)), min(0.5, _Z / (2 * math.sqrt(len(ranks))))
    low, high = np.quantile(ranks, [0.5 - half, 0.5 + half])
    below = ranks <= median
    return (median + (below.mean() - below) * (high - low) / (2 * half)).astype(np.float32)
