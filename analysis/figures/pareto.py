"""A metric against the cost of a run, and the Pareto front."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import labels, legends, style, tooltips
from analysis.figures.style import headroom, wrap
from analysis.stats import sentences
from analysis.stats.cost import Cost, Measure, time
from analysis.stats.summary import Row, Summary

_FRONT = "Pareto front of the means"
_MOST = 16  # rows that all have a name and an interval; of more, those on the front and the base


def draw(summary: Summary, measure: Measure = time) -> Figure:
    """One sweep, a mark per row; on the dashed front no row is both cheaper and better."""
    cost = measure(summary.rows)
    figure, panel = plt.subplots(figsize=style.look().size(3.6), layout="constrained")
    rows = summary.finished_rows
    front = pareto_front(rows, cost)
    _marks(panel, rows, front, cost)
    note = f"{headroom(panel, rows)} {cost.note(rows)}".strip()
    panel.set_title(wrap(style.caption(figure, sentences.heading(summary), _words(front, rows, cost)), 0.9), loc="left")
    end = 1.15 * max(cost.typical(row) for row in rows) or 1.0  # room for a name
    panel.set_xlim(0 if all(cost.typical(row) > 0 for row in rows) else -0.03 * end, end)  # a mark at 0 stays whole
    _finish(figure, panel, rows[0], cost)
    style.footnote(figure, sentences.footnote(summary, note).replace(", small circles", ""))
    _name(figure, panel, rows, front, cost, {})
    return figure


def _marks(panel: Axes, rows: Sequence[Row], front: Sequence[Row], cost: Cost) -> None:
    """Rows on the front in colour, others open and grey; a ring around the base; the line of a front of several."""
    on_front = {id(row) for row in front}
    others = [row for row in rows if id(row) not in on_front]
    crowd = len(rows) > _MOST
    looks = {"color": style.QUIET, "markerfacecolor": "white", "markersize": 3.5, "elinewidth": 0.6, "alpha": 0.8}
    _points(panel, others, cost, "other rows", bars=not crowd, **looks)
    _points(panel, front, cost, "on the front", bars=True, color=style.BLUE, elinewidth=0.8, zorder=3)
    if len(front) > 1:
        panel.step([cost.typical(row) for row in front], [row.score() for row in front], where="post",
                   color=style.BLUE, linestyle="--", linewidth=0.9, zorder=1, label=_FRONT)  # fmt: skip
    bases = [row for row in rows if row.point.base]
    for row in bases[:1]:
        panel.plot([cost.typical(row)], [row.score()], "o", color=style.BLACK, markerfacecolor="none", markersize=9,
                   label="base", zorder=4)  # fmt: skip


def _points(panel: Axes, rows: Sequence[Row], cost: Cost, label: str, *, bars: bool, **looks: Any) -> None:
    """Rows of one look at their cost and mean, with the interval of the mean if `bars`."""
    if not rows:
        return
    means, intervals = [row.score() for row in rows], [row.main for row in rows]
    reach = [[one.mean - one.low for one in intervals], [one.high - one.mean for one in intervals]]
    panel.errorbar([cost.typical(row) for row in rows], means, yerr=reach if bars else None, fmt="o", label=label,
                   **looks)  # fmt: skip
    for row in rows:
        tooltips.mark(panel, cost.typical(row), row.score(), sentences.row_words(row, cost.words(row)))


def _name(
    figure: Figure, panel: Axes, rows: Sequence[Row], front: Sequence[Row], cost: Cost, names: Mapping[int, str]
) -> None:
    """Write the rows' names where there is room: the base, the front from the top, then the others from the top.

    names: id of a row -> what it is called, where that is not its label. Those of the front that have no room are in
    the caption.
    """
    order = [row for row in rows if row.point.base][:1]  # has a ring, so its name stands further off
    others = [] if len(rows) > _MOST else sorted(rows, key=_merit, reverse=True)
    for row in (*reversed(front), *others):
        if all(row is not one for one in order):
            order.append(row)
    wanted = [
        labels.Name(cost.typical(row), row.score(), _called(row, names), 8 if row is order[0] else 5) for row in order
    ]
    corners = [(cost.typical(row), row.score()) for row in front]
    steps = [(last, first) for last, first in itertools.pairwise(corners)]
    lines = [((x, y), (other, y)) for (x, y), (other, _) in steps] + [((x, y), (x, up)) for (_, y), (x, up) in steps]
    barred = front if len(rows) > _MOST else rows
    lines += [((cost.typical(row), row.main.low), (cost.typical(row), row.main.high)) for row in barred]
    lacking = set(labels.place(panel, wanted, [(cost.typical(row), row.score()) for row in rows], lines))
    unnamed = [name for row in front if (name := _called(row, names)) in lacking]
    if unnamed:
        style.add_note(figure, f"On the front without a name, from left to right: {'; '.join(unnamed)}.")


def _called(row: Row, names: Mapping[int, str]) -> str:
    """Its label; the base's settings are in the caption, so its name stays short."""
    return names.get(id(row), "base" if row.point.base else row.label)


def groups(summaries: Sequence[Summary]) -> dict[str, list[Summary]]:
    """Sweeps whose rows can stand in one figure: of one preset and one test; only where there are several."""
    by_test: dict[tuple[str, str | None], list[Summary]] = {}
    for summary in summaries:
        if summary.done:
            run = next(iter(summary.finished_rows[0].runs.values()))
            by_test.setdefault((summary.sweep.preset, run.corpus.get("test")), []).append(summary)
    several = {key: members for key, members in by_test.items() if len(members) > 1}
    tests = [preset for preset, _ in several]
    return {
        preset if tests.count(preset) == 1 else f"{preset}-{test}": members
        for (preset, test), members in several.items()
    }


def overall(summaries: Sequence[Summary], measure: Measure = time) -> Figure:
    """All rows of several sweeps of one preset and test, each row once; those on the front are named.

    The axis of costs is a logarithm: rows that cost nothing are left out, unless there are no others.
    """
    rows: dict[tuple[str, ...], tuple[Row, int]] = {}
    for k, summary in enumerate(summaries):
        for row in summary.finished_rows:
            rows.setdefault(tuple(run.id for run in row.runs.values()), (row, k))
    cost = measure([row for row, _ in rows.values()])
    free = {runs for runs, (row, _) in rows.items() if cost.typical(row) == 0}
    if len(free) < len(rows):
        rows = {runs: entry for runs, entry in rows.items() if runs not in free}
    figure, panel = plt.subplots(figsize=style.look().size(4.4), layout="constrained")
    shown = [row for row, _ in rows.values()]
    front = pareto_front(shown, cost)
    same = Counter(row.label for row in front)  # sweeps may share the name of a point
    names = {id(row): f"{row.label} ({summaries[k].sweep.folder})" for row, k in rows.values() if same[row.label] > 1}
    _marks(panel, shown, front, cost)
    highest = max(row.score() for row in shown)
    limit = min(1.5 * highest, 1.05 * max(row.main.high for row in shown))
    style.level_axis(panel, "y", shown, limit)
    log = all(cost.typical(row) > 0 for row in shown)
    if log:
        panel.set_xscale("log")
        style.plain_logarithms(panel.xaxis)
    title = style.caption(figure, f"All rows of preset {summaries[0].sweep.preset}", _words(front, shown, cost))
    panel.set_title(wrap(title, 0.9), loc="left")
    _finish(figure, panel, shown[0], cost, ", log scale" if log else "")
    left = f"Rows left out since they cost nothing: {len(free)}." if free and log else ""
    style.footnote(figure, f"{_reading(summaries, shown, cost)} {left}".strip())
    _name(figure, panel, shown, front, cost, names)
    return figure


def _reading(summaries: Sequence[Summary], rows: Sequence[Row], cost: Cost) -> str:
    """How to read the figure of several sweeps, and what is missing from it."""
    counts = sorted({row.seeds for row in rows})
    seeds = f"n = {counts[0]}" + (f" to {counts[-1]}" if counts[-1] > counts[0] else "")
    many = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    lone = ", of single seeds over queries only" if counts[0] == 1 else ""
    missing, planned = sum(len(part.missing) for part in summaries), sum(part.planned for part in summaries)
    parts = [
        f"Bars: 95% intervals of {rows[0].metric.name}, cut at the panel{lone}.",
        f"A mark is the mean of a row's seeds ({seeds}; {many}, each once, though several sweeps may share it).",
        cost.note(rows),
        "The front is that of the means: what lies near it may be noise.",
        f"Unfinished: {missing} of {planned} runs are missing." if missing else "",
    ]
    return " ".join(part for part in parts if part)


def _finish(figure: Figure, panel: Axes, row: Row, cost: Cost, scale: str = "") -> None:
    what = "" if style.look().narrow else f": {cost.what}"
    panel.set_xlabel(f"cost of a run{what} ({cost.unit}{scale})")
    panel.set_ylabel(row.metric.label)
    legends.draw(figure, legends.handles_of([panel]), "outside upper left", gap=1.4)


def pareto_front(rows: Sequence[Row], cost: Cost) -> list[Row]:
    """Rows that no cheaper row reaches in the mean of the metric, by rising cost."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (cost.typical(row), -_merit(row))):
        if not front or _merit(row) > _merit(front[-1]):
            front.append(row)
    return front


def _merit(row: Row) -> float:
    return row.metric.merit(row.score())


def _words(front: Sequence[Row], rows: Sequence[Row], cost: Cost) -> str:
    """Which row is clearly the cheapest, if one is, and which has the best mean."""
    if len(rows) == 1:
        return "nothing to compare yet"
    cheapest, best = front[0], front[-1]
    mean = f"has the {best.metric.best} mean"
    if cost.alike(rows):
        return f"{best.label} {mean}, all rows cost the same"
    if not all(cost.clearly_cheaper(cheapest, row) for row in rows if row is not cheapest):
        return f"{best.label} {mean}, no row is clearly the cheapest"
    if cheapest is best:
        return f"{best.label} is the cheapest and {mean}"
    return f"{cheapest.label} is the cheapest, {best.label} {mean}"
