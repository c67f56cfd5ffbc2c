"""Shared by all figures: colours, fonts, captions, axes, and writing of files that depend on the data only.

Colours are Okabe and Ito's (safe for the colour-blind); as they can look alike in grey, every series also differs in
marker or dash. Widths and fonts of venues are in analysis/figures/looks.py.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import LogLocator, NullLocator

from analysis.figures.looks import FORMATS, SANS, SERIF, Look
from analysis.stats.summary import Row
from simvtp.config.schema import FIELDS

BLUE, ORANGE, GREEN, RED, SKY, PINK, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000",
)  # fmt: skip
GREY = "#808080"  # an eighth, for the control
CYCLE = (BLUE, RED, GREEN, PINK, ORANGE, SKY, BLACK, GREY)
LINES = (BLUE, RED, GREEN, PINK, ORANGE, SKY)  # of lines in one panel, beside black
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 2)), (0, (3, 1, 1, 1)))
PALE = "0.75"  # grey of what is only background
QUIET = "0.45"  # grey of secondary marks

_SETTINGS: dict[Any, Any] = {
    "font.family": SANS,
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "figure.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    "errorbar.capsize": 2.5,
    "savefig.dpi": 200,
    "text.parse_math": False,  # a dollar in a label is a dollar
    "svg.hashsalt": "simvtp",
    "pdf.fonttype": 42,
}
# Without date and version: the same results give the same bytes.
METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


_look = Look()


def apply(look: Look = _look) -> None:
    """Make this the look of all figures that follow."""
    global _look
    _look = look
    plt.rcdefaults()
    plt.rcParams.update({**_SETTINGS, **look.settings})


def look() -> Look:
    """The look of the figures that are drawn now."""
    return _look


def small() -> float:
    """Points of the letters of ticks, legends and marks."""
    return points("legend.fontsize")


def points(setting: Any) -> float:
    """The size of letters that a setting of matplotlib gives in points or in words."""
    return float(FontProperties(size=plt.rcParams[setting]).get_size_in_points())


def rendered(figure: Figure, formats: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """Format (png, pdf, svg) -> the content of its file; closes the figure."""
    contents = {}
    for name in formats:
        content = io.BytesIO()
        figure.savefig(content, format=name, metadata=METADATA[name])
        contents[name] = content.getvalue()
    plt.close(figure)
    return contents


# Weak keys: the text of a figure is freed with it.
_CAPTIONS: WeakKeyDictionary[Figure, list[str]] = WeakKeyDictionary()
_NOTES: WeakKeyDictionary[Figure, str] = WeakKeyDictionary()


def caption(figure: Figure, title: str, finding: str) -> str:
    """Add 'Title: finding.' to the figure's caption, which is beside the figure and not in it.

    Returns the title to draw; '' where the look has none.
    """
    title = title[:1].upper() + title[1:]
    _CAPTIONS.setdefault(figure, []).append(f"{title}: {finding}.")
    return title if _look.titles else ""


def caption_of(figure: Figure) -> str:
    """What the figure shows, as sentences on one line, and how to read its marks."""
    return " ".join(" ".join([*_CAPTIONS.get(figure, []), _NOTES.get(figure, "")]).split())


def footnote(figure: Figure, text: str) -> None:
    """How to read the marks: the end of the caption, and small print below the figure where the look has it."""
    _NOTES[figure] = text
    if _look.notes:
        size, share = small() - 1, figure.get_figwidth() / _look.width
        figure.supxlabel(wrap(text, 0.97 * share, size), fontsize=size, color="0.3", x=0.01, ha="left")


def add_note(figure: Figure, text: str) -> None:
    """One more sentence of the caption, which is not drawn."""
    _NOTES[figure] = f"{_NOTES.get(figure, '')} {text}"


def wrap_name(label: str) -> str:
    """The name of a row, in lines that leave room for its bar."""
    return textwrap.fill(label, 24 if _look.narrow else 36)


def no_grid(axes: Axes) -> None:
    axes.grid(visible=False)


def mark(number: int) -> tuple[str, str]:
    """Marker and colour of the series of this number: no two alike among the first 64."""
    again = number // len(CYCLE)
    return MARKERS[(number + again) % len(MARKERS)], CYCLE[number % len(CYCLE)]


LANES = (4.0, 6.5, 9.0)  # points from a mean to the strip of its seeds
_TICKS = 12  # values that are each named below the axis


@dataclass(frozen=True)
class Axis:
    """How a config field is shown. words: in captions; label: at the axis, with the unit; factor: to that unit; tick: a
    value in that unit, beside the axis."""

    words: str
    label: str
    factor: float = 1.0
    log: bool = False
    tick: Callable[[float], str] = "{:g}".format


def axis_of(name: str) -> Axis:
    """As the field's line in simvtp/config/schema.py has it; by its name where it is of a plugin that is not loaded, or
    of another version."""
    if name not in FIELDS:
        words = name.replace(".", " ").replace("_", " ")
        return Axis(words, words)
    field = FIELDS[name]
    if field.unit == "share":
        return Axis(field.axis, f"{field.axis} (%)", 100, log=field.log)
    if field.unit == "rate":
        return Axis(field.axis, field.axis, log=field.log, tick=field.show)
    return Axis(field.axis, field.axis, log=field.log)


def wrap(text: str, share: float = 1.0, size: float | None = None) -> str:
    """The text with a capital, in lines that fit into that share of the figure's width.

    size: points of its letters; of a panel's title, where none is given.
    """
    letters = share * 72 * _look.width / (_letter() * (size or points("axes.titlesize")))
    return "\n".join(textwrap.wrap(text[:1].upper() + text[1:], max(8, int(letters))))


def _letter() -> float:
    """The width of a letter on average, as a share of its size."""
    return 0.48 if plt.rcParams["font.family"] == [SERIF] else 0.57


def ratio_axis(panel: Axes, x: Sequence[float], axis: Axis, columns: int = 1) -> None:
    """Scale, limits, ticks and name of an axis of values; columns: panels beside each other in the figure."""
    log = axis.log and bool(x) and min(x) > 0
    if log:
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
    if x and len(set(x)) <= _TICKS:
        panel.set_xticks(x, _apart(x, [axis.tick(value) for value in x], log, columns))
    elif log:
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
    label = axis.label + (", log scale" if log else "")
    panel.set_xlabel(wrap_label(label, 0.8 / columns))
    if not x:
        return
    low, high = min(x), max(x)
    if log:
        margin = (high / low) ** 0.08 if high > low else 2.0
        panel.set_xlim(low / margin, high * margin)
    else:
        margin = 0.08 * (high - low or 1)
        panel.set_xlim(low - margin, high + 1.5 * margin)  # room for the seeds of the last value, to its right


def _apart(x: Sequence[float], labels: Sequence[str], log: bool, columns: int) -> list[str]:
    """The labels of the values; '' for one that would touch the label before it."""
    positions = [math.log(position) if log else position for position in x]  # of values, in the panel's own scale
    room = 72 * 0.68 * _look.width / columns / ((max(positions) - min(positions)) or 1)  # points a unit
    letter = 0.62 * points("xtick.labelsize")
    texts, end = [], -math.inf
    for position, label in sorted(zip(positions, labels, strict=True)):
        half = letter * len(label) / 2
        free = room * position - half > end
        texts.append((position, label if free else ""))
        end = room * position + half + 2 if free else end
    of = dict(texts)
    return [of[position] for position in positions]


def wrap_label(text: str, share: float) -> str:
    """The name of an axis in lines that fit into that share of the figure's width; its case stays."""
    letters = share * 72 * _look.width / (_letter() * points("axes.labelsize"))
    return "\n".join(textwrap.wrap(text, max(8, int(letters)))) or text


CUT = "Intervals that reach beyond the panel are cut."


def headroom(panel: Axes, rows: Sequence[Row], marks: Iterable[float] = ()) -> str:
    """From 0 to a little above the highest mean or other mark; returns a note where an interval is cut there."""
    marks = list(marks)
    highest = max(*(row.score() for row in rows), *marks, 0.0)
    end = max(row.main.high for row in rows)
    limit = min(1.08 * max(highest, end), 1.5 * highest) or 1.0
    level_axis(panel, "y", rows, limit, marks)
    return CUT if end > limit else ""


def level_axis(
    panel: Axes, axis: Literal["x", "y"], rows: Sequence[Row], end: float, marks: Iterable[float] = ()
) -> None:
    """Scale and limits of the metric's axis, whose better end is up or right: from 0 to `end`; of ranks a logarithm,
    from `end` to the lowest interval or other mark."""
    limits = (0.0, end)
    if rows and rows[0].metric.is_rank:
        limits = (end, 0.9 * min([*(row.main.low for row in rows), *marks]))
        (panel.set_yscale if axis == "y" else panel.set_xscale)("log")
        plain_logarithms(panel.yaxis if axis == "y" else panel.xaxis)
    (panel.set_ylim if axis == "y" else panel.set_xlim)(*limits)


def plain_logarithms(axis: XAxis | YAxis) -> None:
    """Ticks of a logarithm at 1, 2, 5, 10, ..., as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())
