"""A sweep of two results folders in one figure: overlaid curves, or rows side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from analysis.figures import legends, style, tooltips
from analysis.figures.ablation import is_curves, varying
from analysis.figures.style import axis_of, headroom, ratio_axis, wrap
from analysis.stats import sentences
from analysis.stats.diff import PointDiff, point_diffs
from analysis.stats.summary import Row, Summary


def names(first: Path, second: Path) -> tuple[str, str]:
    """The shortest ends of two paths that tell them apart."""
    parts = [path.resolve().parts for path in (first, second)]
    size = 1
    while parts[0][-size:] == parts[1][-size:] and size < max(map(len, parts)):
        size += 1
    return "/".join(parts[0][-size:]), "/".join(parts[1][-size:])


def draw(first: Summary, second: Summary, called: tuple[str, str]) -> Figure:
    """Levels of both with their intervals; the title says at how many points a paired difference is shown."""
    curves = is_curves(first) and is_curves(second) and set(first.sweep.axes) & set(second.sweep.axes)
    figure, cut = _curves(first, second, called) if curves else (_rows(first, second, called), "")
    parts = [f"Bars: 95% intervals; {name}: n = {one.seed_counts}, preset {one.sweep.setting}, gallery of {one.gallery}"
             + (f", {one.done} of {one.planned} runs finished" if one.missing else "")
             for name, one in zip(called, (first, second), strict=True)]  # fmt: skip
    note = "; ".join([parts[0], parts[1].removeprefix("Bars: 95% intervals; ")])
    lone = any(row.seeds == 1 for summary in (first, second) for row in summary.finished_rows)
    queries = " Of a single seed they cover queries only." if lone else ""
    text = f"{note}.{queries} {cut} Differences in numbers: analysis/compare.py."
    style.footnote(figure, " ".join(text.split()))
    return figure


def _finding(diffs: Sequence[PointDiff], called: tuple[str, str]) -> str:
    """What the paired differences of the points in both say."""
    compared = [diff.difference for diff in diffs if diff.difference]
    if not compared:
        return "no point can be paired" + (f" ({diffs[0].obstacle})" if diffs else "")
    shown = [difference.verdict for difference in compared if difference.shown]
    points = f"{len(compared)} point{'' if len(compared) == 1 else 's'}"
    said = [f"{called[1]} is {word} at {shown.count(word)} of {points}"
            for word in ("higher", "lower") if word in shown]  # fmt: skip
    return "; ".join(said) or f"no difference shown at {points}"


def _curves(first: Summary, second: Summary, called: tuple[str, str]) -> tuple[Figure, str]:
    """The figure, and a note where intervals are cut at its panels."""
    axes = [axis for axis in first.sweep.axes if axis in second.sweep.axes]
    figure, panels = plt.subplots(1, len(axes), figsize=style.look().size(3.6), sharey=True, squeeze=False,
                                  layout="constrained")  # fmt: skip
    diffs = point_diffs(first.rows, second.rows)  # corrected over all of them, as analysis/compare.py does
    for panel, axis in zip(panels[0], axes, strict=True):
        both = [varying(summary, axis) for summary in (first, second)]
        positions = [_positions(summary, rows, axis) for summary, rows in zip((first, second), both, strict=True)]
        for k in range(2):
            _series(panel, positions[k], both[k], called[k], k)
        ratio_axis(panel, sorted({*positions[0], *positions[1]}), axis_of(axis), len(axes))
        here = [diff for diff in diffs if any(diff.first is row for row in both[0])]
        tied = any(set(row.point.set) - {axis} for row in both[0])
        words = first.sweep.title if tied else axis_of(axis).words
        panel.set_title(wrap(style.caption(figure, words, _finding(here, called)), 0.9 / len(axes)), loc="left")
    panels[0][0].set_ylabel(first.metric.label)
    cut = headroom(panels[0][0], [*first.finished_rows, *second.finished_rows])
    legends.draw(figure, legends.handles_of([panels[0][0]]), "outside upper center")
    return figure, cut


def _positions(summary: Summary, rows: Sequence[Row], axis: str) -> list[float]:
    return [axis_of(axis).factor * float(summary.sweep.value(row.point, axis)) for row in rows]


_LOOKS = ((style.BLUE, "-", "o", style.BLUE), (style.RED, "--", "s", "white"))  # colour, line, marker, its face


def _series(panel: Axes, positions: Sequence[float], rows: Sequence[Row], name: str, k: int) -> None:
    done = [(x, row) for x, row in zip(positions, rows, strict=True) if row.runs]
    colour, line, marker, face = _LOOKS[k]
    aside = offset_copy(panel.transData, panel.get_figure(root=True), x=5 * k - 2.5, units="points")
    levels = [row.main for _, row in done]
    means = np.array([level.mean for level in levels])
    reach = [means - [level.low for level in levels], [level.high for level in levels] - means]
    panel.errorbar([x for x, _ in done], means, yerr=reach, color=colour, linestyle=line, marker=marker, label=name,
                   markerfacecolor=face, transform=aside)  # fmt: skip
    for x, row in done:
        tooltips.mark(panel, x, row.main.mean, f"{name}, {sentences.row_words(row)}", aside)


def _rows(first: Summary, second: Summary, called: tuple[str, str]) -> Figure:
    labels = list(dict.fromkeys(row.label for summary in (first, second) for row in summary.rows))
    height = 1.4 + 0.38 * len(labels)
    figure, panel = plt.subplots(figsize=style.look().size(height), layout="constrained")
    for k, summary in enumerate((first, second)):
        colour, _, marker, face = _LOOKS[k]
        for row in summary.finished_rows:
            level, position = row.main, len(labels) - 1 - labels.index(row.label) + 0.14 - 0.28 * k
            reach = [[level.mean - level.low], [level.high - level.mean]]
            panel.errorbar([level.mean], [position], xerr=reach, fmt=marker, color=colour, markerfacecolor=face,
                           label=called[k] if row is summary.finished_rows[0] else None)  # fmt: skip
            tooltips.mark(panel, level.mean, position, f"{called[k]}, {sentences.row_words(row)}")
    panel.set_yticks(range(len(labels)), [style.wrap_name(label) for label in labels[::-1]])
    panel.set_ylim(-0.6, len(labels) - 0.4)
    panel.set_xlim(left=0)
    panel.set_xlabel(first.metric.label)
    legends.draw(figure, legends.handles_of([panel]), "outside upper center")
    finding = _finding(point_diffs(first.rows, second.rows), called)
    panel.set_title(wrap(style.caption(figure, first.sweep.title, finding), 0.9), loc="left")
    return figure
