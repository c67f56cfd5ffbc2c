"""R@1 against what a run costs, and the front: rows that no cheaper row reaches."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from analysis import findings, hover, style
from analysis.panels import R1, headroom, time_unit, wrap
from analysis.summary import MAIN, Row, Summary

_FRONT = "front of the means"


def draw(summary: Summary) -> Figure:
    """One sweep, a mark per row; on the dashed front no row is both cheaper and higher."""
    figure, panel = plt.subplots(figsize=(style.WIDTH, 3.6), layout="constrained")
    unit, minutes = time_unit(summary.rows)
    for k, row in enumerate(summary.finished_rows):
        _mark(panel, row, minutes, k, row.label)
    front = _step(panel, summary.finished_rows, minutes)
    note = headroom([panel], summary)
    panel.set_title(wrap(f"{summary.sweep.title}: {_words(front)}", 84), loc="left")
    _finish(figure, panel, unit)
    style.footnote(figure, wrap(findings.footnote(summary, note).replace(", small circles", ""), 140))
    return figure


def groups(summaries: Sequence[Summary]) -> dict[str, list[Summary]]:
    """Sweeps whose rows can stand in one figure: of one preset and one test; only where there are several."""
    found: dict[tuple[str, str | None], list[Summary]] = {}
    for summary in summaries:
        if summary.done:
            run = next(iter(summary.finished_rows[0].runs.values()))
            found.setdefault((summary.sweep.preset, run.corpus.get("test")), []).append(summary)
    several = {key: members for key, members in found.items() if len(members) > 1}
    tests = [preset for preset, _ in several]
    return {
        preset if tests.count(preset) == 1 else f"{preset}-{test}": members
        for (preset, test), members in several.items()
    }


def overall(summaries: Sequence[Summary]) -> Figure:
    """All rows of several sweeps of one preset and test, each row once; those on the front are named."""
    rows: dict[tuple[str, ...], tuple[Row, int]] = {}
    for k, summary in enumerate(summaries):
        for row in summary.finished_rows:
            rows.setdefault(tuple(run.id for run in row.runs.values()), (row, k))
    figure, panel = plt.subplots(figsize=(style.WIDTH, 3.4 + 0.2 * len(summaries)), layout="constrained")
    unit, minutes = time_unit([row for row, _ in rows.values()])
    named: set[int] = set()
    for row, k in rows.values():
        _mark(panel, row, minutes, k, None if k in named else summaries[k].sweep.title)
        named.add(k)
    front = _step(panel, [row for row, _ in rows.values()], minutes)
    names = {row.label: row for row in reversed(front)}  # sweeps may share the name of a point
    for label, row in names.items():
        first = row is front[0]  # it stands at the left edge
        panel.annotate(label, (row.device_minutes / minutes, row.mean("R@1")), (4 if first else -4, 4), fontsize=7,
                       ha="left" if first else "right", textcoords="offset points")  # fmt: skip
    highest = max(row.mean("R@1") for row, _ in rows.values())
    panel.set_ylim(0, min(1.5 * highest, 1.05 * max(row.level[MAIN].high for row, _ in rows.values())))
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_title(wrap(f"All rows of preset {summaries[0].sweep.preset}: {_words(front)}", 84), loc="left")
    _finish(figure, panel, f"{unit}, log scale")
    style.footnote(figure, wrap(
        f"Bars: 95% intervals of R@1, cut at the panel. A mark is the mean of a row's seeds ({len(rows)} rows, each "
        "once, though several sweeps may share it). The front is that of the means: what lies near it may be noise.",
        140,
    ))  # fmt: skip
    return figure


def _mark(panel: Axes, row: Row, minutes: int, number: int, label: str | None) -> None:
    found = row.level[MAIN]
    reach = [[found.mean - found.low], [found.high - found.mean]]
    marker, colour = style.mark(number)
    panel.errorbar([row.device_minutes / minutes], [found.mean], yerr=reach, elinewidth=0.8, label=label, fmt=marker,
                   color=colour)  # fmt: skip
    hover.mark(panel, row.device_minutes / minutes, found.mean, findings.row_words(row))


def _step(panel: Axes, rows: Sequence[Row], minutes: int) -> list[Row]:
    found = front(rows)
    panel.step([row.device_minutes / minutes for row in found], [row.mean("R@1") for row in found], where="post",
               color=style.QUIET, linestyle="--", linewidth=1, zorder=1, label=_FRONT)  # fmt: skip
    return found


def _finish(figure: Figure, panel: Axes, unit: str) -> None:
    panel.set_xlabel(f"cost of a run: pre-training, fine-tuning, evaluation ({unit})")
    panel.set_ylabel(R1)
    if panel.get_xscale() == "linear":
        panel.set_xlim(left=0)
    longest = max(len(label) for label in panel.get_legend_handles_labels()[1])
    figure.legend(loc="outside right upper" if longest < 32 else "outside upper left")


def front(rows: Sequence[Row]) -> list[Row]:
    """Rows that no cheaper row reaches in mean R@1, by rising cost."""
    found: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.device_minutes, -row.mean("R@1"))):
        if not found or row.mean("R@1") > found[-1].mean("R@1"):
            found.append(row)
    return found


def _words(front: Sequence[Row]) -> str:
    if len(front) == 1:
        return f"{front[0].label} is the cheapest and has the highest mean"
    return f"{front[0].label} is the cheapest, {front[-1].label} has the highest mean"
