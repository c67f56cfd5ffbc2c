"""R@1 against what a run costs, and the front: rows that no cheaper row reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import Bbox

from analysis.figures import style, tooltips
from analysis.figures.style import R1, headroom, wrap
from analysis.stats import sentences
from analysis.stats.cost import Cost, Measure, time
from analysis.stats.summary import MAIN, Row, Summary

_FRONT = "front of the means"
_BARS = "pale bars from least to most"
_MOST = 20  # rows that the legend beside the panel has room for; of more, those on the front are named
# Of a name beside its mark, in points, the best first: above to the left or right, then ever further away.
PLACES = tuple((side * 4, up) for up in (4, 13, 22, -9, -18, 31, 40) for side in (-1, 1))


def draw(summary: Summary, measure: Measure = time) -> Figure:
    """One sweep, a mark per row; on the dashed front no row is both cheaper and higher."""
    cost = measure(summary.rows)
    figure, panel = plt.subplots(figsize=(style.WIDTH, 3.6), layout="constrained")
    rows, crowd = summary.finished_rows, len(summary.finished_rows) > _MOST
    if crowd:
        others = [row for row in rows if not row.point.base]
        _bars(panel, others, cost, "row", "o", style.BLUE)
        if summary.base:
            _bars(panel, [summary.base], cost, summary.base.label, "D", style.BLACK)
    for k, row in enumerate(() if crowd else rows):
        _bars(panel, [row], cost, row.label, *style.mark(k))
    front = _step(panel, rows, cost)
    note = f"{headroom(panel, rows)} {cost.note(rows, _BARS)}".strip()
    panel.set_title(wrap(f"{summary.sweep.title}: {_words(front, rows, cost)}", 84), loc="left")
    end = cost.end(rows)
    panel.set_xlim(0 if all(cost.typical(row) > 0 for row in rows) else -0.03 * end, end)  # a mark at 0 stays whole
    _finish(figure, panel, cost)
    style.footnote(figure, wrap(sentences.footnote(summary, note).replace(", small circles", ""), 140))
    if crowd:
        places = [(cost.typical(row), row.mean("R@1")) for row in rows]
        name(panel, {row.label: places[rows.index(row)] for row in front}, places)
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
        rows = {runs: found for runs, found in rows.items() if runs not in free}
    figure, panel = plt.subplots(figsize=(style.WIDTH, 3.6 + 0.1 * len(summaries)), layout="constrained")
    shown = [row for row, _ in rows.values()]
    named: set[int] = set()
    for row, k in rows.values():
        _bars(panel, [row], cost, None if k in named else wrap(summaries[k].sweep.title, 76), *style.mark(k))
        named.add(k)
    front = _step(panel, shown, cost)
    highest = max(row.mean("R@1") for row in shown)
    panel.set_ylim(0, min(1.5 * highest, 1.05 * max(row.level[MAIN].high for row in shown)))
    log = all(cost.typical(row) > 0 for row in shown)
    if log:
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_locator(NullLocator())
    panel.set_title(
        wrap(f"All rows of preset {summaries[0].sweep.preset}: {_words(front, shown, cost)}", 84), loc="left"
    )
    _finish(figure, panel, cost, ", log scale" if log else "")
    left = f"Rows left out since they cost nothing: {len(free)}." if free and log else ""
    style.footnote(figure, wrap(f"{_reading(summaries, shown, cost)} {left}".strip(), 140))
    labels = Counter(row.label for row in shown)  # sweeps may share the name of a point
    folder = {id(row): summaries[k].sweep.folder for row, k in rows.values()}
    names = {row.label if labels[row.label] == 1 else f"{row.label} ({folder[id(row)]})": row for row in front}
    marks = [(cost.typical(row), row.mean("R@1")) for row in shown]
    name(panel, {label: (cost.typical(row), row.mean("R@1")) for label, row in names.items()}, marks)
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


def name(panel: Axes, names: Mapping[str, tuple[float, float]], marks: Sequence[tuple[float, float]]) -> None:
    """Write each name beside its place, where it covers no other name, no mark, and stays in the panel.

    Where no place is free it is the one that covers least. The layout must be final: the figure is drawn for its sizes.
    """
    figure = panel.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    inside, dots = panel.get_window_extent(), panel.transData.transform(marks)
    taken: list[Bbox] = []
    for label, point in names.items():
        covers = []
        for place in PLACES:
            trial = _write(panel, label, point, place)
            box = trial.get_window_extent()
            trial.remove()
            out = bool(box.x0 < inside.x0 or box.y0 < inside.y0 or box.x1 > inside.x1 or box.y1 > inside.y1)
            covers.append(len(dots) * out + sum(map(box.overlaps, taken)) + box.padded(2).count_contains(dots))
        taken.append(_write(panel, label, point, PLACES[covers.index(min(covers))]).get_window_extent())


def _write(panel: Axes, label: str, point: tuple[float, float], place: tuple[int, int]) -> Annotation:
    side = "left" if place[0] > 0 else "right"
    found = panel.annotate(label, point, place, fontsize=7, ha=side, textcoords="offset points")
    found.set_path_effects([withStroke(linewidth=2, foreground="white")])  # to be read across a bar or a line
    found.set_in_layout(False)
    return found


def _bars(panel: Axes, rows: Sequence[Row], cost: Cost, label: str | None, marker: str, colour: str) -> None:
    """Rows of one look: marks with their intervals."""
    costs, levels = [cost.typical(row) for row in rows], [row.level[MAIN] for row in rows]
    reach = [[found.mean - found.low for found in levels], [found.high - found.mean for found in levels]]
    spans = [cost.span(row) for row in rows]
    across = [[middle - low for middle, (low, _) in zip(costs, spans, strict=True)],
              [high - middle for middle, (_, high) in zip(costs, spans, strict=True)]]  # fmt: skip
    panel.errorbar(costs, [found.mean for found in levels], yerr=reach, elinewidth=0.8, label=label, fmt=marker,
                   color=colour)  # fmt: skip
    panel.errorbar(costs, [found.mean for found in levels], xerr=across, elinewidth=0.5, fmt="none", ecolor=colour,
                   alpha=0.35)  # fmt: skip
    for middle, found, row in zip(costs, levels, rows, strict=True):
        tooltips.mark(panel, middle, found.mean, sentences.row_words(row, cost.words(row)))


def _step(panel: Axes, rows: Sequence[Row], cost: Cost) -> list[Row]:
    found = front(rows, cost)
    if len(found) == 1:
        return found  # a mark is no line
    panel.step([cost.typical(row) for row in found], [row.mean("R@1") for row in found], where="post",
               color=style.QUIET, linestyle="--", linewidth=1, zorder=1, label=_FRONT)  # fmt: skip
    return found


def _finish(figure: Figure, panel: Axes, cost: Cost, scale: str = "") -> None:
    panel.set_xlabel(f"cost of a run: {cost.what} ({cost.unit}{scale})")
    panel.set_ylabel(R1)
    labels = panel.get_legend_handles_labels()[1]
    if max(map(len, labels)) < 32:
        figure.legend(loc="outside right upper")
    else:
        figure.legend(loc="outside upper left", ncols=2 if len(labels) > 6 else 1, fontsize=6.5)


def front(rows: Sequence[Row], cost: Cost) -> list[Row]:
    """Rows that no cheaper row reaches in mean R@1, by rising cost."""
    found: list[Row] = []
    for row in sorted(rows, key=lambda row: (cost.typical(row), -row.mean("R@1"))):
        if not found or row.mean("R@1") > found[-1].mean("R@1"):
            found.append(row)
    return found


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
