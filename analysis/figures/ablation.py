"""The figure of a sweep: curves along each axis, a heat map of two, curves of several corpora, or toggles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy

from analysis.figures import corpus_curves, legends, style, tooltips
from analysis.figures.bars import toggles
from analysis.figures.style import axis_of, headroom, ratio_axis, wrap
from analysis.stats import published, sentences
from analysis.stats.cost import Cost, Measure, time
from analysis.stats.metric import R1
from analysis.stats.summary import Row, Summary


def varying(summary: Summary, axis: str) -> list[Row]:
    """Rows that differ from the base in this axis, and in no other way that is not tied to it; by rising value."""
    tied = _is_tied(summary)
    chosen = [row for row in summary.rows if tied or set(row.point.set) <= {axis}]
    return sorted(chosen, key=lambda row: float(summary.sweep.value(row.point, axis)))


def draw(summary: Summary, measure: Measure = time) -> Figure:
    """The figure that fits the sweep's points."""
    if (axis := corpus_curves.axis(summary)) is not None:
        return corpus_curves.draw(summary, axis)
    if is_curves(summary):
        return curves(summary, measure(summary.rows))
    return heat_map(summary) if is_grid(summary) else toggles(summary)


def is_curves(summary: Summary) -> bool:
    """Whether every point moves along one axis of numbers at most."""
    return _numeric(summary) and (_is_tied(summary) or all(len(point.set) <= 1 for point in summary.sweep.points))


def _is_tied(summary: Summary) -> bool:
    """Whether there is one axis with a value of its own for every point: what else changes, changes with it."""
    sweep = summary.sweep
    return len(sweep.axes) == 1 and len({sweep.value(p, sweep.axes[0]) for p in sweep.points}) == len(sweep.points)


def is_grid(summary: Summary) -> bool:
    """Whether the points are every combination of the values of two numeric axes, the base among them or beside."""
    sweep = summary.sweep
    if len(sweep.axes) != 2 or not _numeric(summary):
        return False
    across, up = sweep.axes
    cells = {(sweep.value(p, across), sweep.value(p, up)) for p in sweep.points if not p.base}
    product = set(itertools.product({x for x, _ in cells}, {y for _, y in cells}))
    only = all(set(point.set) <= set(sweep.axes) for point in sweep.points)
    return only and product <= cells | {(sweep.base.get(across), sweep.base.get(up))}


def _numeric(summary: Summary) -> bool:
    sweep = summary.sweep
    numbers = all(_is_number(sweep.value(point, axis)) for point in sweep.points for axis in sweep.axes)
    return bool(sweep.axes) and numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def curves(summary: Summary, cost: Cost) -> Figure:
    """The metric along each axis (above) and the cost of a run (below); the paper's curve beside, if it has one."""
    names = list(summary.sweep.axes)
    quoted = names == ["data.fraction"] and any(row.published for row in summary.rows)
    quoted = quoted and summary.metric == R1 and not style.look().narrow
    columns = min(len(names) + quoted, 2 if style.look().narrow else 8)
    bands = math.ceil((len(names) + quoted) / columns)
    width, height = style.look().size(4.5)
    figure = plt.figure(figsize=(width, bands * height), layout="constrained")
    grid = figure.add_gridspec(2 * bands, columns, height_ratios=[3, 1.1] * bands)
    uppers: list[Axes] = []
    lowers: list[Axes] = []
    for k, name in enumerate(names):
        band, column = divmod(k, columns)
        upper = figure.add_subplot(grid[2 * band, column], sharey=uppers[0] if k else None)
        lower = figure.add_subplot(grid[2 * band + 1, column], sharex=upper, sharey=lowers[0] if k else None)
        rows = varying(summary, name)
        x = [axis_of(name).factor * float(summary.sweep.value(row.point, name)) for row in rows]
        _levels(upper, x, rows, summary)
        _costs(lower, x, rows, cost, cost.end(summary.finished_rows))
        ratio_axis(lower, x, axis_of(name), columns)
        finding = sentences.against_base(rows, _base_value(summary, name))
        further = any(set(row.point.set) - {name} for row in rows)
        words = sentences.heading(summary) if further else axis_of(name).words
        upper.set_title(wrap(style.caption(figure, words, finding), 0.85 / columns), loc="left")
        upper.tick_params(labelbottom=False)
        if column:
            for panel in (upper, lower):
                panel.set_ylabel("")
                panel.tick_params(labelleft=False)
        uppers.append(upper)
        lowers.append(lower)
    rows = summary.finished_rows
    circles = [value for row in rows for value in row.scores()]
    seen = [value for row in rows if math.isfinite(value := row.score("test_seen"))]
    scratch = [summary.unpretrained.score()] if summary.unpretrained and summary.metric.is_rank else []
    note = headroom(uppers[0], rows, [*circles, *seen, *scratch])
    if summary.unpretrained and str(summary.unpretrained.seeds) != summary.seed_counts:
        note = f"{note} No pre-training: n = {summary.unpretrained.seeds}.".strip()
    handles = legends.handles_of(uppers[:1])
    if quoted:
        _paper_panel(figure.add_subplot(grid[:, -1]))
        note = f"{note} {published.SOURCE}; {published.CAUTION}."
    ordered = {label: handles[label] for label in _LEGEND if label in handles}
    legends.draw(figure, ordered, "outside upper center", gap=1.4)
    bars = "bars from least to most, cut where they leave the panel"
    note = f"{note} Dashed: means alone. {cost.note(rows, bars)}".strip()
    style.footnote(figure, sentences.footnote(summary, note))
    return figure


HELD_OUT, TEST, SEEN, BASE, SCRATCH, CHANCE = (
    "held-out combinations", "test", "seen combinations", "base", "no pre-training", "chance",
)  # fmt: skip
_LEGEND = (HELD_OUT, TEST, SEEN, BASE, SCRATCH, CHANCE)


def _base_value(summary: Summary, name: str) -> str:
    value, axis = summary.sweep.base.get(name), axis_of(name)
    return f"{axis.tick(axis.factor * float(value))}{'%' if axis.factor == 100 else ''}" if value else "the base"


def _levels(panel: Axes, x: Sequence[float], rows: Sequence[Row], summary: Summary) -> None:
    """Mean of the metric with its interval, seeds as a strip beside it, seen combinations, and the levels of no
    pre-training and of chance."""
    done = [(position, row) for position, row in zip(x, rows, strict=True) if row.runs]
    positions = [position for position, _ in done]
    seen = [row.score("test_seen") for _, row in done]
    two = bool(np.isfinite(seen).any())
    if two:
        panel.plot(positions, seen, "--s", color=style.ORANGE, markerfacecolor="white", label=SEEN)
    intervals = [row.main for _, row in done]
    means = np.array([level.mean for level in intervals])
    reach = [means - [level.low for level in intervals], [level.high for level in intervals] - means]
    panel.errorbar(positions, means, yerr=reach, fmt="-o", color=style.BLUE, label=HELD_OUT if two else TEST, zorder=3)
    for position, row in done:
        if row.seeds > 1:
            _strip(panel, position, row)
        tooltips.mark(panel, position, row.score(), sentences.row_words(row))
        if row.point.base:
            panel.plot([position], [row.score()], "o", color=style.BLACK, markerfacecolor="none", markersize=10,
                       label=BASE, zorder=4)  # fmt: skip
    if summary.unpretrained:
        panel.axhline(summary.unpretrained.score(), color="0.25", dashes=(5, 3), linewidth=1, label="no pre-training")
    if not summary.metric.is_rank:  # of ranks far outside, and in the caption
        panel.axhline(summary.chance, color="0.25", linestyle=":", linewidth=1, label=CHANCE)
    panel.set_ylabel(summary.metric.short if style.look().narrow else summary.metric.label)


def _strip(panel: Axes, position: float, row: Row) -> None:
    """Small circles right of the mean, one a seed, in lanes so that equal ones stay apart."""
    figure = panel.get_figure(root=True)
    for k, (seed, value) in enumerate(zip(row.runs, row.scores(), strict=True)):
        aside = offset_copy(panel.transData, figure, x=style.LANES[k % len(style.LANES)], units="points")
        panel.plot([position], [value], "o", color=style.BLUE, markerfacecolor="none", markersize=2.4, alpha=0.7,
                   markeredgewidth=0.6, transform=aside, zorder=2, clip_on=False)  # fmt: skip
        tooltips.mark(panel, position, float(value), sentences.seed_words(row, seed), aside)


def _costs(panel: Axes, x: Sequence[float], rows: Sequence[Row], cost: Cost, end: float) -> None:
    finished = [(position, row) for position, row in zip(x, rows, strict=True) if row.runs]
    positions, costs = [position for position, _ in finished], [cost.typical(row) for _, row in finished]
    spans = [cost.span(row) for _, row in finished]
    reach = [[middle - low for middle, (low, _) in zip(costs, spans, strict=True)],
             [high - middle for middle, (_, high) in zip(costs, spans, strict=True)]]  # fmt: skip
    panel.errorbar(positions, costs, yerr=reach, fmt="-D", color=style.QUIET, markersize=4, elinewidth=0.8)
    for (position, row), middle in zip(finished, costs, strict=True):
        tooltips.mark(panel, position, middle, f"{row.label}: {cost.words(row)}")
    panel.set_ylabel(f"{cost.unit}\na run")
    panel.set_ylim(0, end)
    panel.yaxis.set_major_locator(MaxNLocator(2 if style.look().narrow else 3))


def _paper_panel(panel: Axes) -> None:
    rows = sorted(published.PUBLISHED, key=lambda row: row.fraction)
    panel.plot([100 * row.fraction for row in rows], [row.metrics["R@1"] for row in rows], ":*", color=style.GREEN,
               markersize=9)  # fmt: skip
    for row in rows:
        tooltips.mark(panel, 100 * row.fraction, row.metrics["R@1"], f"{published.LABEL}: R@1 {row.metrics['R@1']}%")
        panel.annotate(f"{row.metrics['R@1']}", (100 * row.fraction, row.metrics["R@1"]), (0, -12),
                       textcoords="offset points", ha="center", fontsize=style.small())  # fmt: skip
    panel.set_title(wrap(published.LABEL, 0.35), loc="left")
    panel.set_ylim(0, 65)
    panel.set_ylabel(R1.label)
    ratio_axis(panel, [10, 100], axis_of("data.fraction"), 2)
    panel.set_xlabel(style.wrap_label("share of WebVid-2M (%), log scale", 0.4))
    panel.set_xlim(7, 140)


def heat_map(summary: Summary) -> Figure:
    """Mean of the metric over the product of two axes; the half-width of the interval in each cell."""
    across, up = summary.sweep.axes
    cells = {(float(summary.sweep.value(row.point, across)), float(summary.sweep.value(row.point, up))): row
             for row in summary.rows}  # fmt: skip
    xs, ys = sorted({x for x, _ in cells}), sorted({y for _, y in cells})
    image = np.full((len(ys), len(xs)), np.nan)
    for (x, y), row in cells.items():
        image[ys.index(y), xs.index(x)] = row.score()
    share = 1.0 if style.look().narrow else 0.72
    figure, panel = plt.subplots(figsize=style.look().size(4.2, share), layout="constrained")
    style.no_grid(panel)
    panel.set_facecolor("0.93")
    drawn = panel.imshow(
        image, origin="lower", cmap="cividis_r" if summary.metric.is_rank else "cividis", aspect="auto"
    )
    bright = (np.nanmin(image) + np.nanmax(image)) / 2
    for (x, y), row in cells.items():
        cell = (xs.index(x), ys.index(y))
        _cell(panel, cell, row, "black" if row.runs and row.metric.merit(row.score() - bright) > 0 else "white")
    for number, name, values in ((0, across, xs), (1, up, ys)):
        axis = axis_of(name)
        ticks = [axis.tick(axis.factor * value) for value in values]
        (panel.set_xticks if number == 0 else panel.set_yticks)(range(len(values)), ticks)
        (panel.set_xlabel if number == 0 else panel.set_ylabel)(axis.label)
    bar = figure.colorbar(drawn, ax=panel, label=summary.metric.label)
    if summary.metric.is_rank:  # better is higher
        bar.ax.invert_yaxis()
    words = f"{axis_of(across).words} by {axis_of(up).words}"
    panel.set_title(wrap(style.caption(figure, words, sentences.against_base(summary.rows)), 0.7), loc="left")
    note = sentences.footnote(summary, "Outlined: base. *: a difference to it is shown.").replace(", small circles", "")
    style.footnote(figure, note.replace("Bars:", "±:"))
    return figure


def _cell(panel: Axes, cell: tuple[int, int], row: Row, colour: str) -> None:
    tooltips.mark(panel, *cell, sentences.row_words(row))
    if row.runs:
        star = "*" if row.difference and row.difference.shown else ""
        text = f"{row.score():.1f}{star}\n±{row.main.half:.1f}"
        panel.text(*cell, text, ha="center", va="center", color=colour, fontsize=style.small())
    else:
        panel.text(*cell, "not\nfinished", ha="center", va="center", color="0.3", fontsize=style.small())
    if row.point.base:
        corner = (cell[0] - 0.46, cell[1] - 0.46)
        for edge, width in (("black", 3.6), ("white", 1.6)):  # seen on dark and on bright cells
            panel.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, edgecolor=edge, linewidth=width))
