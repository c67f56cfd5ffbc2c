"""The words of a drawn figure and where they lie, for tests that none covers another."""

from __future__ import annotations

import itertools

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def boxes(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every text that is drawn, with its box in pixels."""
    figure.canvas.draw()
    hidden = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in _not_drawn(axis)}
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), Text.get_window_extent(text)) for text in texts if id(text) not in hidden]


def _not_drawn(axis: Axis) -> list[Text]:
    """Labels of ticks beyond the limits, or of an axis that shows none: matplotlib keeps them."""
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    outside = [tick for tick in ticks if not low <= tick.get_loc() <= high or not tick.label1.get_visible()]
    return [label for tick in outside for label in (tick.label1, tick.label2)]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts of which one covers the other by more than a pixel."""
    placed = boxes(figure)
    return [(one, other) for (one, a), (other, b) in itertools.combinations(placed, 2) if _deep(a, b)]


def cut(figure: Figure) -> list[str]:
    """Texts that reach beyond the page by more than a pixel."""
    page = figure.bbox.padded(1)
    return [name for name, box in boxes(figure) if not (page.contains(*box.min) and page.contains(*box.max))]


def _deep(a: Bbox, b: Bbox) -> bool:
    across, up = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    return across > 1 and up > 1
