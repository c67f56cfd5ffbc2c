"""Horizontal bars of a sweep whose points are not on numeric axes, with their paired differences to the base."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import style, tooltips
from analysis.figures.style import CUT, wrap
from analysis.stats import sentences
from analysis.stats.intervals import Interval
from analysis.stats.summary import Row, Summary

_BELOW = 0.2  # of a row's bar, its single seeds


def toggles(summary: Summary) -> Figure:
    """Rows as means with their seeds below as a strip, and their paired differences to the base beside."""
    rows = summary.rows
    positions = np.arange(len(rows))[::-1]
    narrow = style.look().narrow  # then the differences stand below the levels
    size = style.look().size(1.7 + 0.42 * len(rows))
    figure, (left, right) = plt.subplots(
        2 if narrow else 1, 1 if narrow else 2, figsize=(size[0], 2 * size[1] if narrow else size[1]),
        layout="constrained", sharey=True,
    )  # fmt: skip
    for row, position in zip(rows, positions, strict=True):
        if row.runs:
            _bar(left, row.main, position, style.BLUE, filled=True)
            _seeds(left, row.scores(), position, style.BLUE)
            tooltips.mark(left, row.main.mean, position, sentences.row_words(row))
        if row.difference and summary.base:
            _bar(right, row.difference.interval, position, style.RED, filled=row.difference.shown)
            words = f"{row.label}: {sentences.difference_words(row)}"
            tooltips.mark(right, row.difference.interval.mean, position, words)
            _seeds(right, _gaps(row, summary.base), position, style.RED)
        elif row.point.base and row.runs:
            right.plot([0], [position], "D", color=style.BLACK, markersize=4)
    if not summary.metric.is_rank:  # of ranks far outside, and in the caption
        left.axvline(summary.chance, color="0.25", linestyle=":", linewidth=1)
        left.annotate("chance", (summary.chance, positions[0] + 0.42), (2, 0), textcoords="offset points", color="0.25",
                      fontsize=style.small())  # fmt: skip
    right.axvline(0, color="0.25", linewidth=0.8)
    left.set_yticks(positions, [style.wrap_name(row.label) for row in rows])
    left.set_ylim(-0.6, len(rows) - 0.4)
    left.set_xlabel(summary.metric.label)
    difference = f"difference to the base, {summary.metric.name} ({summary.metric.unit})"
    right.set_xlabel(style.wrap_label(difference, 0.7 if narrow else 0.33))
    cut = _limits(left, right, summary)
    if summary.metric.is_rank:  # better is further right, as of the levels
        right.invert_xaxis()
    left.set_title("Level", loc="left")
    right.set_title("Paired difference", loc="left")
    title = style.caption(figure, sentences.heading(summary), sentences.against_base(rows))
    if title:
        figure.suptitle(wrap(title, 0.97, style.points("figure.titlesize")), x=0.01, ha="left")
    marks = "Differences pair runs of one seed. Filled: shown (Holm-corrected)."
    note = sentences.footnote(summary, f"{marks} {cut}".strip())
    style.footnote(figure, note)
    return figure


def _gaps(row: Row, base: Row) -> list[float]:
    """The metric over that of the base, seed by seed."""
    of = row.metric.of
    return [of(run) - of(base.runs[seed]) for seed, run in row.runs.items() if seed in base.runs]


def _limits(left: Axes, right: Axes, summary: Summary) -> str:
    """Every seed is inside; an interval of few seeds may reach further than half again the highest: a note then."""
    rows = [row for row in summary.rows if row.runs]
    highest = max((value for row in rows for value in row.scores()), default=1)
    ends = [row.main.high for row in rows]
    end = 1.05 * max(highest, min(max(ends, default=1), 1.4 * highest)) or 1
    style.level_axis(left, "x", rows, end, [value for row in rows for value in row.scores()])
    intervals = [row.difference.interval for row in rows if row.difference]
    gaps = [abs(gap) for row in rows if row.difference and summary.base for gap in _gaps(row, summary.base)]
    widest = max([max(-gap.low, gap.high) for gap in intervals], default=1)
    reach = 1.08 * max([*gaps, min(widest, 1.4 * highest)])
    right.set_xlim(-reach or -1, reach or 1)
    return CUT if max(ends, default=0) > end or (intervals and widest > reach) else ""


def _seeds(panel: Axes, values: Sequence[float] | npt.NDArray[np.float64], position: float, colour: str) -> None:
    """Small circles below the bar, in lanes so that equal ones stay apart; none for a single seed, which is the mean
    itself."""
    if len(values) > 1:
        lanes = [position - _BELOW - 0.02 * style.LANES[k % len(style.LANES)] + 0.08 for k in range(len(values))]
        panel.plot(values, lanes, "o", color=colour, markerfacecolor="none", markersize=2.4, alpha=0.8,
                   markeredgewidth=0.6, clip_on=False)  # fmt: skip


def _bar(panel: Axes, interval: Interval, position: float, colour: str, filled: bool) -> None:
    reach = [[interval.mean - interval.low], [interval.high - interval.mean]]
    panel.errorbar([interval.mean], [position], xerr=reach, fmt="o", color=colour, zorder=3,
                   markerfacecolor=colour if filled else "white")  # fmt: skip
