"""Learning curves of a sweep from the log.jsonl of its runs and of their pre-training stages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.figures import legends, style, tooltips
from analysis.figures.style import wrap
from analysis.runs.load import log_lines
from analysis.stats import sentences
from analysis.stats.summary import Row, Summary

_BINS = 24
_MOST = 6  # rows that can be told apart
_START = 0.04  # of a curve's length: higher values before it leave the panel, or they would flatten the rest


@dataclass(frozen=True)
class Panel:
    stage: str
    key: str
    title: str
    x: str
    label: str
    unit: str  # what the axis is called if there is no room for more


PANELS = (
    Panel("pretrain", "mvm", "pre-training: masked video", "step", "MSE of normalised pixels", "MSE"),
    Panel("pretrain", "mlm", "pre-training: masked language", "step", "cross-entropy (nats)", "nats"),
    Panel("pretrain", "vtc", "pre-training: contrast", "step", "cross-entropy, two-way (nats)", "nats"),
    Panel("pretrain", "vtm", "pre-training: matching", "step", "cross-entropy (nats)", "nats"),
    Panel("finetune", "loss", "fine-tuning: contrast", "epoch", "cross-entropy, two-way (nats)", "nats"),
    Panel("validation", "R@1", "validation", "epoch", "R@1, text-to-video (%)", "R@1 (%)"),
)


def series(lines: Sequence[dict[str, Any]], panel: Panel) -> dict[float, float]:
    """x -> value; where a resumed run logged a step twice, the later line counts."""
    values = {}
    for line in lines:
        x, y = line.get(panel.x), line.get(panel.key)
        if line.get("stage") != panel.stage or not isinstance(x, int | float) or not isinstance(y, int | float):
            continue
        if math.isfinite(x) and math.isfinite(y):
            values[float(x)] = float(y)
    return dict(sorted(values.items()))


def averaged(curves: Sequence[dict[float, float]]) -> tuple[list[float], list[float]]:
    """Mean over seeds in at most 40 bins of x."""
    xs = np.array([x for curve in curves for x in curve])
    ys = np.array([y for curve in curves for y in curve.values()])
    if not len(xs):
        return [], []
    if len(set(xs)) <= _BINS:
        steps = sorted(set(xs))
        return steps, [float(ys[xs == x].mean()) for x in steps]
    edges = np.linspace(xs.min(), xs.max(), _BINS + 1)
    which = np.clip(np.digitize(xs, edges) - 1, 0, _BINS - 1)
    bins = sorted(set(which))
    return [float(xs[which == b].mean()) for b in bins], [float(ys[which == b].mean()) for b in bins]


def chosen(rows: Sequence[Row]) -> list[Row]:
    """The base and at most five more, from the highest to the lowest of the test's metric in even steps of its order;
    in the order of the sweep."""
    if len(rows) <= _MOST:
        return list(rows)
    others = sorted((row for row in rows if not row.point.base), key=lambda row: -row.score())
    count = _MOST - any(row.point.base for row in rows)
    kept = [others[round(k * (len(others) - 1) / (count - 1))] for k in range(count)]
    return [row for row in rows if row.point.base or any(row is one for one in kept)]


def panels_of(rows: Sequence[Row]) -> list[Panel]:
    """PANELS, and behind those of pre-training one for each objective of a plugin, as results name their losses."""
    losses = {str(name) for row in rows for run in row.runs.values() for name in run.rest.get("losses") or {}}
    own = [Panel("pretrain", name, f"pre-training: {name}", "step", "loss", "loss")
           for name in sorted(losses - {panel.key for panel in PANELS})]  # fmt: skip
    return sorted([*PANELS, *own], key=lambda panel: panel.stage != "pretrain")


def draw(summary: Summary, folder: Path) -> Figure | None:
    """A panel per loss and for validation R@1, a line per point (mean over seeds); None if nothing was logged."""
    shown = chosen(summary.finished_rows)
    logs = {run.id: log_lines(run, folder) for row in shown for run in row.runs.values()}
    panels = [p for p in panels_of(shown) if any(series(lines, p) for lines in logs.values())]
    if not panels:
        return None
    columns = min(2 if style.look().narrow else 3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure, grid = plt.subplots(rows, columns, figsize=style.look().size(1.1 + 2.1 * rows), squeeze=False,
                                layout="constrained")  # fmt: skip
    for spare in grid.flat[len(panels) :]:
        spare.set_axis_off()
    ends: dict[str, float] = {}  # label of a row -> its last validation
    for axes, panel in zip(grid.flat, panels, strict=False):
        curves = [averaged([series(logs[run.id], panel) for run in row.runs.values()]) for row in shown]
        for k, (row, (x, y)) in enumerate(zip(shown, curves, strict=True)):
            if x:
                colour, width, dashes = _line(k, row)
                axes.plot(x, y, marker="o" if len(x) == 1 else "", color=colour, linestyle=dashes, linewidth=width,
                          label=row.label, zorder=3 if row.point.base else 2)  # fmt: skip
                tooltips.mark(axes, x[-1], y[-1], f"{row.label}: {panel.title} ends at {y[-1]:.4g}")
                if panel.stage == "validation":
                    ends[row.label] = y[-1]
        _limit(axes, curves)
        axes.set_title(wrap(panel.title, 0.85 / columns), loc="left")
        axes.set_xlabel(panel.x)
        axes.set_ylabel(panel.label if style.look().width >= 7 else panel.unit)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        if len({place for x, _ in curves for place in x}) == 1:
            axes.set_xticks([next(x[0] for x, _ in curves if x)])
    legends.draw(figure, legends.handles_of(list(grid.flat)), "outside lower center", most=3, handle=3.0)
    logged = {row.label: sum(bool(logs[run.id]) for run in row.runs.values()) for row in shown}
    finding = f"learning curves, {_seeds(logged)}{_ends(ends)}"
    some = len(summary.finished_rows) - len(shown)
    finding += f"; {some} row{'s' if some > 1 else ''} between the highest and the lowest left out" if some else ""
    title = style.caption(figure, sentences.heading(summary), finding)
    if title:
        figure.suptitle(wrap(title, 0.97, style.points("figure.titlesize")), x=0.01, ha="left")
    unseen = [label for label, count in logged.items() if not count]
    lost = f"No log is left of {', '.join(unseen)}." if unseen else ""
    notes = [f"Preset {summary.sweep.setting}.", lost, summary.state()]
    style.add_note(figure, " ".join(filter(None, notes)))  # in the caption alone: the legend stands below the panels
    return figure


def _line(number: int, row: Row) -> tuple[str, float, Any]:
    """Colour, width and dashes of a row's line; the base is black and heavy."""
    width = float(plt.rcParams["lines.linewidth"])
    if row.point.base:
        return style.BLACK, 1.3 * width, "-"
    return style.LINES[number % len(style.LINES)], 0.9 * width, style.DASHES[number % len(style.DASHES)]


def _limit(axes: Axes, curves: Sequence[tuple[list[float], list[float]]]) -> None:
    """Limits by what comes after the first steps; the end of a short curve is shown too."""
    ends = [x[-1] for x, _ in curves if x]
    ys = [y for xs, values in curves for x, y in zip(xs, values, strict=True) if x >= _START * max(ends) or x == xs[-1]]
    if len(ys) > 1 and max(ys) > min(ys):
        margin = 0.06 * (max(ys) - min(ys))
        axes.set_ylim(min(ys) - margin, max(ys) + margin)


def _seeds(logged: Mapping[str, int]) -> str:
    """How many runs a line is the mean of: those whose logs are there, which may be fewer than have results."""
    counts = sorted({count for count in logged.values() if count})
    if counts == [1]:
        return "1 seed"
    return f"mean of n = {counts[0]} seeds" if len(counts) == 1 else f"mean of n = {counts[0]} to {counts[-1]} seeds"


def _ends(ends: Mapping[str, float]) -> str:
    """Where validation ends, in words that claim no difference."""
    if len(ends) < 2:
        return ""
    low, high = min(ends, key=lambda label: ends[label]), max(ends, key=lambda label: ends[label])
    return f"; validation R@1 ends between {ends[low]:.1f}% ({low}) and {ends[high]:.1f}% ({high})"
