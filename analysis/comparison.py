"""Points beside each other: toggles with their paired differences, and R@1 against cost."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import findings, hover, style
from analysis.panels import R1, headroom, time_unit, wrap
from analysis.statistics import Interval
from analysis.summary import MAIN, Row, Summary


def toggles(summary: Summary) -> Figure:
    """Rows as paired points (a thin line joins one seed's runs), and their differences to the base beside."""
    rows = summary.rows
    places = np.arange(len(rows))[::-1]
    height = 1.7 + 0.42 * len(rows)
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, height), layout="constrained", sharey=True)
    for row, place in zip(rows, places, strict=True):
        if row.runs:
            _bar(left, row.level[MAIN], place, style.BLUE, filled=True)
            _seeds(left, row.values("R@1"), place, style.BLUE)
            hover.mark(left, row.level[MAIN].mean, place, findings.row_words(row))
        if row.difference and summary.base:
            _bar(right, row.difference.interval, place, style.RED, filled=row.difference.shown)
            hover.mark(right, row.difference.interval.mean, place, f"{row.label}: {findings.difference_words(row)}")
            both = [seed for seed in row.runs if seed in summary.base.runs]
            gaps_ = [row.runs[seed].metric("R@1") - summary.base.runs[seed].metric("R@1") for seed in both]
            _seeds(right, gaps_, place, style.RED)
        elif row.point.base and row.runs:
            right.plot([0], [place], "D", color=style.BLACK, markersize=4)
    left.axvline(summary.chance, color="0.25", linestyle=":", linewidth=1)
    left.annotate(
        "chance", (summary.chance, places[0] + 0.42), (2, 0), textcoords="offset points", fontsize=6.5, color="0.25"
    )
    right.axvline(0, color="0.25", linewidth=0.8)
    left.set_yticks(places, [row.label for row in rows])
    left.set_ylim(-0.6, len(rows) - 0.4)
    left.set_xlabel(R1)
    right.set_xlabel("difference to the base, R@1 (points)")
    highest = max((value for row in rows for value in row.values("R@1")), default=1)
    left.set_xlim(0, min(max([1.05 * row.level[MAIN].high for row in rows if row.runs], default=1), 1.5 * highest))
    gaps = [row.difference.interval for row in rows if row.difference]
    reach = min(1.1 * max([max(-gap.low, gap.high) for gap in gaps], default=1), 1.5 * highest)
    right.set_xlim(-reach, reach)
    left.set_title("Level", loc="left")
    right.set_title("Paired difference (filled: shown; open: not shown)", loc="left")
    figure.suptitle(wrap(f"{summary.sweep.title}: {findings.against_base(rows)}", 100), x=0.01, ha="left")
    style.footnote(figure, wrap(findings.footnote(summary, "Differences pair runs of one seed."), 140))
    return figure


def _seeds(panel: Axes, values: Sequence[float] | npt.NDArray[np.float64], place: float, colour: str) -> None:
    """Small circles below the bar; none for a single seed, which is the mean itself."""
    if len(values) > 1:
        panel.plot(values, [place - 0.2] * len(values), "o", color=colour, markerfacecolor="none", markersize=2.8,
                   markeredgewidth=0.7)  # fmt: skip


def _bar(panel: Axes, interval: Interval, place: float, colour: str, filled: bool) -> None:
    reach = [[interval.mean - interval.low], [interval.high - interval.mean]]
    panel.errorbar([interval.mean], [place], xerr=reach, fmt="o", color=colour, zorder=3,
                   markerfacecolor=colour if filled else "white")  # fmt: skip


def cost(summary: Summary) -> Figure:
    """R@1 against the time of a run; on the dashed front no row is both cheaper and higher."""
    figure, panel = plt.subplots(figsize=(style.WIDTH, 3.6), layout="constrained")
    unit, minutes = time_unit(summary)
    for k, row in enumerate(summary.finished_rows):
        found = row.level[MAIN]
        reach = [[found.mean - found.low], [found.high - found.mean]]
        panel.errorbar([row.minutes / minutes], [found.mean], yerr=reach, fmt=style.MARKERS[k % len(style.MARKERS)],
                       color=style.CYCLE[k % len(style.CYCLE)], label=row.label, elinewidth=0.8)  # fmt: skip
        hover.mark(panel, row.minutes / minutes, found.mean, findings.row_words(row))
    front = _front(summary.finished_rows)
    panel.step([row.minutes / minutes for row in front], [row.mean("R@1") for row in front], where="post",
               color=style.QUIET, linestyle="--", linewidth=1, zorder=1, label="front of the means")  # fmt: skip
    panel.set_xlabel(f"cost of a run: pre-training, fine-tuning, evaluation ({unit})")
    panel.set_ylabel(R1)
    panel.set_xlim(left=0)
    note = headroom([panel], summary)
    panel.set_title(wrap(f"{summary.sweep.title}: {_front_words(front)}", 84), loc="left")
    figure.legend(loc="outside right upper")
    style.footnote(figure, wrap(findings.footnote(summary, note).replace(", small circles", ""), 140))
    return figure


def _front(rows: Sequence[Row]) -> list[Row]:
    """Rows that no cheaper row reaches in mean R@1, by rising cost."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.minutes, -row.mean("R@1"))):
        if not front or row.mean("R@1") > front[-1].mean("R@1"):
            front.append(row)
    return front


def _front_words(front: Sequence[Row]) -> str:
    if len(front) == 1:
        return f"{front[0].label} is the cheapest and has the highest mean"
    return f"{front[0].label} is the cheapest, {front[-1].label} has the highest mean"
