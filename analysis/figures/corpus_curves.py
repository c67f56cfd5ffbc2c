"""The figure of a sweep over corpora and one more axis: a curve for each corpus, and its differences beside."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import legends, style, tooltips
from analysis.figures.style import axis_of, ratio_axis, wrap
from analysis.stats import sentences
from analysis.stats.summary import Row, Summary
from simvtp.config.run_id import CORPORA

Curve = tuple[str, list[Row]]
_APART = 0.006  # of the axis, from one curve to the next, so that their bars do not lie on each other


def axis(summary: Summary) -> str | None:
    """The numeric axis that varies on each of several test corpora; None where the sweep is of another form."""
    settings = [set(point.set) - set(CORPORA) for point in summary.sweep.points]
    keys = set().union(*settings)
    if len(keys) != 1 or not any("data.finetune" in point.set for point in summary.sweep.points):
        return None
    (name,) = keys
    values = [summary.sweep.value(point, name) for point in summary.sweep.points]
    return name if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values) else None


def curves(summary: Summary, name: str) -> list[Curve]:
    """(corpus, its rows by rising value of the axis), in the order of the sweep."""
    by_corpus: dict[str, list[Row]] = {}
    for row in summary.rows:
        by_corpus.setdefault(str(summary.sweep.value(row.point, "data.finetune")), []).append(row)
    plain = str(summary.sweep.base["data.finetune"])
    return [
        (corpus.removeprefix(plain).lstrip("?&") or corpus,
         sorted(rows, key=lambda row: float(summary.sweep.value(row.point, name))))
        for corpus, rows in by_corpus.items()
    ]  # fmt: skip


def draw(summary: Summary, name: str) -> Figure:
    """The metric along the axis (left), and the paired difference to the base's value on the same corpus (right)."""
    narrow = style.look().narrow
    width, height = style.look().size(3.2)
    figure, (left, right) = plt.subplots(
        2 if narrow else 1, 1 if narrow else 2, figsize=(width, 2 * height if narrow else height),
        layout="constrained", sharex=True,
    )  # fmt: skip
    shown = curves(summary, name)
    factor = axis_of(name).factor
    places = sorted({factor * float(summary.sweep.value(row.point, name)) for _, rows in shown for row in rows})
    step = _APART * (places[-1] - places[0])
    for k, (corpus, rows) in enumerate(shown):
        aside = step * (2 * k - len(shown) + 1)
        done = [(factor * float(summary.sweep.value(row.point, name)) + aside, row) for row in rows if row.runs]
        _levels(left, done, corpus, k)
        _differences(right, done, corpus, k)
    right.axhline(0, color="0.25", linewidth=0.8)
    left.set_ylabel(summary.metric.label)
    if summary.metric.is_rank:  # better is higher; chance is far outside, and in the caption
        rows = summary.finished_rows
        style.level_axis(left, "y", rows, 1.05 * max(row.main.high for row in rows))
        right.invert_yaxis()
    else:
        left.axhline(summary.chance, color="0.25", linestyle=":", linewidth=1)
        left.set_ylim(bottom=0)
    base = f"{axis_of(name).tick(factor * float(summary.sweep.base[name]))}{'%' if factor == 100 else ''}"
    right.set_ylabel(
        style.wrap_label(f"difference to {base} on the same corpus ({summary.metric.unit})", 0.42 if narrow else 0.25)
    )
    for panel in (left, right):
        ratio_axis(panel, places, axis_of(name), 1 if narrow else 2)
    legends.draw(figure, legends.handles_of([left]), "outside upper center")
    words = "; ".join(f"{corpus}: {sentences.against_base(rows, f'its {base}')}" for corpus, rows in shown)
    left.set_title(wrap(style.caption(figure, sentences.heading(summary), words), 0.45), loc="left")
    note = sentences.footnote(summary, "Filled at the right: shown (Holm-corrected over all rows).")
    style.footnote(figure, note.replace(", small circles", ""))
    return figure


def _levels(panel: Axes, done: Sequence[tuple[float, Row]], corpus: str, number: int) -> None:
    marker, colour = style.mark(number)
    means = np.array([row.main.mean for _, row in done])
    reach = [means - [row.main.low for _, row in done], [row.main.high for _, row in done] - means]
    panel.plot([x for x, _ in done], means, color=colour, marker=marker, label=corpus,
               linestyle=style.DASHES[number % len(style.DASHES)])  # fmt: skip
    panel.errorbar([x for x, _ in done], means, yerr=reach, fmt="none", ecolor=colour)
    for x, row in done:
        tooltips.mark(panel, x, row.score(), sentences.row_words(row))


def _differences(panel: Axes, done: Sequence[tuple[float, Row]], corpus: str, number: int) -> None:
    marker, colour = style.mark(number)
    gaps = [(x, row.difference, row) for x, row in done]
    means = [gap.interval.mean if gap else 0.0 for _, gap, _ in gaps]
    panel.plot([x for x, *_ in gaps], means, color=colour, linestyle=style.DASHES[number % len(style.DASHES)])
    for x, gap, row in gaps:
        if gap is None:
            panel.plot([x], [0], marker=marker, color=colour, markerfacecolor="white")
            continue
        level = gap.interval
        panel.errorbar([x], [level.mean], yerr=[[level.mean - level.low], [level.high - level.mean]], color=colour,
                       marker=marker, markerfacecolor=colour if gap.shown else "white")  # fmt: skip
        tooltips.mark(panel, x, level.mean, f"{corpus}: {sentences.difference_words(row)}")
