"""One look for all figures, and files whose bytes depend on the data alone.

Colours are Okabe and Ito's (safe for the colour-blind); as they can look alike in grey, every series also differs in
marker or dash.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.cli import write

BLUE, ORANGE, GREEN, RED, SKY, PINK, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000",
)  # fmt: skip
GREY = "#808080"  # an eighth, for the control
CYCLE = (BLUE, RED, GREEN, PINK, ORANGE, SKY, BLACK, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 2)), (0, (3, 1, 1, 1)))
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


def save(figure: Figure, path: Path, formats: tuple[str, ...] = FORMATS) -> None:
    """Write path.png and so on, each whole or not at all, and close the figure."""
    for name in formats:
        content = io.BytesIO()
        figure.savefig(content, format=name, metadata=METADATA[name])
        write(path.with_name(f"{path.name}.{name}"), content.getvalue())
    plt.close(figure)


def footnote(figure: Figure, text: str) -> None:
    """Small print below the figure, inside the constrained layout."""
    figure.supxlabel(text, fontsize=6.5, color="0.3", x=0.01, ha="left", wrap=True)


def no_grid(axes: Axes) -> None:
    axes.grid(visible=False)


def mark(number: int) -> tuple[str, str]:
    """Marker and colour of the so many-th thing in a figure: no two alike among the first 64."""
    again = number // len(CYCLE)
    return MARKERS[(number + again) % len(MARKERS)], CYCLE[number % len(CYCLE)]
