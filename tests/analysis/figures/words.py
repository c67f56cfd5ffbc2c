"""The words of a drawn figure and where they lie, for tests that none covers another."""

from __future__ import annotations

import itertools

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def boxes(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every visible text with its box in pixels; ticks only those inside their axis."""
    figure.canvas.draw()
    found = []
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text.get_figure() is not None:
            found.append((text.get_text(), Text.get_window_extent(text)))
    ticks = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in _outside(axis)}
    return [(name, box) for text, (name, box) in zip(_shown(figure), found, strict=True) if id(text) not in ticks]


def _shown(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def _outside(axis) -> list[Text]:  # type: ignore[no-untyped-def]
    """Labels of ticks beyond the limits, or of a shared axis that shows none: matplotlib keeps and does not draw them."""
    low, high = sorted(axis.get_view_interval())
    labels = []
    for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
        if not low <= tick.get_loc() <= high or not tick.label1.get_visible():
            labels += [tick.label1, tick.label2]
    return labels


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts of which one covers the other by more than a pixel."""
    found = boxes(figure)
    return [(one, other) for (one, a), (other, b) in itertools.combinations(found, 2) if _deep(a, b)]


def cut(figure: Figure) -> list[str]:
    """Texts that reach beyond the page by more than a pixel."""
    page = figure.bbox.padded(1)
    return [name for name, box in boxes(figure) if not (page.contains(*box.min) and page.contains(*box.max))]


def _deep(a: Bbox, b: Bbox) -> bool:
    across, up = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    return across > 1 and up > 1
