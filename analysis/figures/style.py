"""What all figures share: one look, names and limits of axes, and files whose bytes depend on the data alone.

Colours are Okabe and Ito's (safe for the colour-blind); as they can look alike in grey, every series also differs in
marker or dash.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from analysis.stats.summary import MAIN, Row
from simvtp.config.schema import FIELDS

BLUE, ORANGE, GREEN, RED, SKY, PINK, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000",
)  # fmt: skip
GREY = "#808080"  # an eighth, for the control
CYCLE = (BLUE, RED, GREEN, PINK, ORANGE, SKY, BLACK, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 2)), (0, (3, 1, 1, 1)))
PALE = "0.75"  # grey of what is only background
QUIET = "0.45"  # grey of what stands back

WIDTH = 7.2  # inches, the text of a two-column page
_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same on every machine
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
FORMATS = tuple(METADATA)


def apply() -> None:
    """Make this the look of all figures that follow."""
    plt.rcdefaults()
    plt.rcParams.update(_SETTINGS)


def rendered(figure: Figure, formats: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """Format (png, pdf, svg) -> the content of its file; closes the figure."""
    contents = {}
    for name in formats:
        content = io.BytesIO()
        figure.savefig(content, format=name, metadata=METADATA[name])
        contents[name] = content.getvalue()
    plt.close(figure)
    return contents


_CAPTIONS: WeakKeyDictionary[Figure, list[str]] = WeakKeyDictionary()  # a figure that is gone takes its caption with it


def caption(figure: Figure, title: str, finding: str) -> str:
    """Add 'Title: finding.' to the figure's caption, which stands beside and not on it; returns the title to draw."""
    title = title[:1].upper() + title[1:]
    _CAPTIONS.setdefault(figure, []).append(f"{title}: {finding}.")
    return title


def caption_of(figure: Figure) -> str:
    """What the figure shows, as sentences on one line, and how to read its marks."""
    return " ".join(" ".join([*_CAPTIONS.get(figure, []), figure.get_supxlabel()]).split())


def footnote(figure: Figure, text: str) -> None:
    """Small print below the figure, inside the constrained layout."""
    figure.supxlabel(text, fontsize=6.5, color="0.3", x=0.01, ha="left", wrap=True)


def no_grid(axes: Axes) -> None:
    axes.grid(visible=False)


def mark(number: int) -> tuple[str, str]:
    """Marker and colour of the so many-th thing in a figure: no two alike among the first 64."""
    again = number // len(CYCLE)
    return MARKERS[(number + again) % len(MARKERS)], CYCLE[number % len(CYCLE)]


_TICKS = 12  # values that are each named below the axis
R1 = "R@1, text-to-video (%)"


@dataclass(frozen=True)
class Axis:
    """How a config field is shown. words: in captions; label: at the axis, with the unit; factor: to that unit."""

    words: str
    label: str
    factor: float = 1.0
    log: bool = False


def axis_of(name: str) -> Axis:
    """As the field's line in simvtp/config/schema.py has it; by its bare name where that is of another version."""
    if name not in FIELDS:
        return Axis(name, name)
    field = FIELDS[name]
    if field.unit == "share":
        return Axis(field.axis, f"{field.axis} (%)", 100, log=field.log)
    return Axis(field.axis, field.axis, log=field.log)


def wrap(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text[:1].upper() + text[1:], width))


def ratio_axis(panel: Axes, x: Sequence[float], axis: Axis) -> None:
    log = axis.log and bool(x) and min(x) > 0
    if log:
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
    if len(set(x)) <= _TICKS:
        panel.set_xticks(x, [f"{place:g}" for place in x])
    elif log:
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
    panel.set_xlabel(axis.label + (", log scale" if log else ""))
    if not x:
        return
    low, high = min(x), max(x)
    if log:
        margin = (high / low) ** 0.08 if high > low else 2.0
        panel.set_xlim(low / margin, high * margin)
    else:
        margin = 0.08 * (high - low or 1)
        panel.set_xlim(low - margin, high + margin)


CUT = "Intervals that reach beyond the panel are cut."


def headroom(panel: Axes, rows: Sequence[Row], marks: Iterable[float] = ()) -> str:
    """From 0 to a little above the highest mean or other mark; returns a note where an interval is cut there."""
    highest = max(*(row.mean("R@1") for row in rows), *marks, 0.0)
    end = max(row.level[MAIN].high for row in rows)
    limit = min(1.08 * max(highest, end), 1.5 * highest) or 1.0
    panel.set_ylim(0, limit)
    return CUT if end > limit else ""
