"""R@1 against what a run costs, and the Pareto front: rows that no cheaper row reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from analysis.figures import style, tooltips
from analysis.figures.style import R1, headroom, wrap
from analysis.stats import sentences
from analysis.stats.cost import Cost, Measure, time
from analysis.stats.summary import MAIN, Row, Summary

_FRONT = "Pareto front of the means"
_BARS = "pale bars from least to most, cut where they leave the panel"
_MOST = 16  # rows that can be told apart by their marks; of more, those on the front stand out


def draw(summary: Summary, measure: Measure = time) -> Figure:
    """One sweep, a mark per row; on the dashed front no row is both cheaper and higher."""
    cost = measure(summary.rows)
    figure, panel = plt.subplots(figsize=(style.WIDTH, 3.6), layout="constrained")
    rows = summary.finished_rows
    front = pareto_front(rows, cost)
    if len(rows) > _MOST:
        _crowd(panel, rows, {row.label: row for row in front}, cost, summary.base)
    else:
        for k, row in enumerate(rows):
            _bars(panel, [row], cost, row.label, *style.mark(k))
    _step(panel, front, cost)
    note = f"{headroom(panel, rows)} {cost.note(rows, _BARS)}".strip()
    panel.set_title(wrap(style.caption(figure, summary.sweep.title, _words(front, rows, cost)), 84), loc="left")
    end = cost.end(rows)
    panel.set_xlim(0 if all(cost.typical(row) > 0 for row in rows) else -0.03 * end, end)  # a mark at 0 stays whole
    _finish(figure, panel, cost)
    style.footnote(figure, wrap(sentences.footnote(summary, note).replace(", small circles", ""), 140))
    return figure


def _crowd(panel: Axes, rows: Sequence[Row], front: dict[str, Row], cost: Cost, base: Row | None) -> None:
    """Pale dots for all rows; those on the front and the base with marks, intervals and names of their own."""
    named = {id(row) for row in front.values()} | ({id(base)} if base else set())
    others = [row for row in rows if id(row) not in named]
    panel.plot([cost.typical(row) for row in others], [row.mean("R@1") for row in others], "o", color=style.PALE,
               markersize=4, label="other rows", zorder=1)  # fmt: skip
    for row in others:
        tooltips.mark(panel, cost.typical(row), row.mean("R@1"), sentences.row_words(row, cost.words(row)))
    for k, (label, row) in enumerate(front.items()):
        _bars(panel, [row], cost, label, *style.mark(k))
    if base and all(row is not base for row in front.values()):
        _bars(panel, [base], cost, base.label, "D", style.BLACK)


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
    figure, panel = plt.subplots(figsize=(style.WIDTH, 4.0), layout="constrained")
    shown = [row for row, _ in rows.values()]
    front = pareto_front(shown, cost)
    labels = Counter(row.label for row in shown)  # sweeps may share the name of a point
    folder = {id(row): summaries[k].sweep.folder for row, k in rows.values()}
    names = {row.label if labels[row.label] == 1 else f"{row.label} ({folder[id(row)]})": row for row in front}
    _crowd(panel, shown, names, cost, next((part.base for part in summaries if part.base), None))
    _step(panel, front, cost)
    highest = max(row.mean("R@1") for row in shown)
    panel.set_ylim(0, min(1.5 * highest, 1.05 * max(row.level[MAIN].high for row in shown)))
    log = all(cost.typical(row) > 0 for row in shown)
    if log:
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_locator(NullLocator())
    title = style.caption(figure, f"All rows of preset {summaries[0].sweep.preset}", _words(front, shown, cost))
    panel.set_title(wrap(title, 84), loc="left")
    _finish(figure, panel, cost, ", log scale" if log else "")
    left = f"Rows left out since they cost nothing: {len(free)}." if free and log else ""
    style.footnote(figure, wrap(f"{_reading(summaries, shown, cost)} {left}".strip(), 140))
    return figure


def _reading(summaries: Sequence[Summary], rows: Sequence[Row], cost: Cost) -> str:
    """How to read the figure of several sweeps, and what is missing from it."""
    counts = sorted({row.seeds for row in rows})
    seeds = f"n = {counts[0]}" + (f" to {counts[-1]}" if counts[-1] > counts[0] else "")
    many = f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    lone = ", of single seeds over queries only" if counts[0] == 1 else ""
    missing, planned = sum(len(part.missing) for part in summaries), sum(part.planned for part in summaries)
    parts = [
        f"Bars: 95% intervals of R@1, cut at the panel{lone}.",
        f"A mark is the mean of a row's seeds ({seeds}; {many}, each once, though several sweeps may share it).",
        cost.note(rows, _BARS),
        "The front is that of the means: what lies near it may be noise.",
        f"Unfinished: {missing} of {planned} runs are missing." if missing else "",
    ]
    return " ".join(part for part in parts if part)


def _bars(panel: Axes, rows: Sequence[Row], cost: Cost, label: str | None, marker: str, colour: str) -> None:
    """Rows of one look: marks with their intervals."""
    costs, levels = [cost.typical(row) for row in rows], [row.level[MAIN] for row in rows]
    reach = [[level.mean - level.low for level in levels], [level.high - level.mean for level in levels]]
    spans = [cost.span(row) for row in rows]
    across = [[middle - low for middle, (low, _) in zip(costs, spans, strict=True)],
              [high - middle for middle, (_, high) in zip(costs, spans, strict=True)]]  # fmt: skip
    panel.errorbar(costs, [level.mean for level in levels], yerr=reach, elinewidth=0.8, label=label, fmt=marker,
                   color=colour)  # fmt: skip
    panel.errorbar(costs, [level.mean for level in levels], xerr=across, elinewidth=0.5, fmt="none", ecolor=colour,
                   alpha=0.35)  # fmt: skip
    for middle, level, row in zip(costs, levels, rows, strict=True):
        tooltips.mark(panel, middle, level.mean, sentences.row_words(row, cost.words(row)))


def _step(panel: Axes, front: Sequence[Row], cost: Cost) -> None:
    """The line of a front; none for a front of one row."""
    if len(front) > 1:
        panel.step([cost.typical(row) for row in front], [row.mean("R@1") for row in front], where="post",
                   color=style.QUIET, linestyle="--", linewidth=1, zorder=1, label=_FRONT)  # fmt: skip


def _finish(figure: Figure, panel: Axes, cost: Cost, scale: str = "") -> None:
    panel.set_xlabel(f"cost of a run: {cost.what} ({cost.unit}{scale})")
    panel.set_ylabel(R1)
    if max(map(len, panel.get_legend_handles_labels()[1])) < 32:
        figure.legend(loc="outside right upper")
    else:
        figure.legend(loc="outside upper left", ncols=2, fontsize=6.5)


def pareto_front(rows: Sequence[Row], cost: Cost) -> list[Row]:
    """Rows that no cheaper row reaches in mean R@1, by rising cost."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (cost.typical(row), -row.mean("R@1"))):
        if not front or row.mean("R@1") > front[-1].mean("R@1"):
            front.append(row)
    return front


def _words(front: Sequence[Row], rows: Sequence[Row], cost: Cost) -> str:
    """Which row is clearly the cheapest, if one is, and which the highest."""
    if len(rows) == 1:
        return "nothing to compare yet"
    cheapest, highest = front[0], front[-1]
    if cost.alike(rows):
        return f"{highest.label} has the highest mean, all rows cost the same"
    if not all(cost.clearly_cheaper(cheapest, row) for row in rows if row is not cheapest):
        return f"{highest.label} has the highest mean, no row is clearly the cheapest"
    if cheapest is highest:
        return f"{highest.label} is the cheapest and has the highest mean"
    return f"{cheapest.label} is the cheapest, {highest.label} has the highest mean"
