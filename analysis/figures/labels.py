"""Labels beside points, without overlaps of labels, marks and panel edges; labels without room are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

_GAP = 5.0  # points from the middle of a mark to its name
_MARK = 3.0  # points from the middle of a mark to its edge
_LINE = 0.8  # points from the middle of a line to its edge
# Where a name may stand: across (-1 left of its point, 1 right), up, and steps of _GAP from the point.
_PLACES = tuple((across, up, far) for far in (1.0, 2.0, 3.2) for across, up in
                ((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1)))  # fmt: skip
_CONNECTION = {"arrowstyle": "-", "lw": 0.5, "color": "0.5", "shrinkA": 0, "shrinkB": 2}  # from the text's near side
_SIDE = {1: "left", 0: "center", -1: "right"}
_HEIGHT = {1: "bottom", 0: "center", -1: "top"}


@dataclass(frozen=True)
class Name:
    """A text for a point, in data coordinates; gap: points from the point's middle to the text."""

    x: float
    y: float
    text: str
    gap: float = _GAP
    bold: bool = False


Point = tuple[float, float]


def place(
    panel: Axes, names: Sequence[Name], marks: Sequence[Point], lines: Sequence[tuple[Point, Point]] = ()
) -> list[str]:
    """Write the names that have room, the first ones first; returns those that have none.

    marks, lines: points and upright or level lines that names must not cover, in data coordinates. The figure's layout
    must be settled in all else: it is frozen here.
    """
    figure = panel.get_figure(root=True)
    assert figure is not None
    own = figure.dpi
    figure.set_dpi(plt.rcParams["savefig.dpi"])  # letters are up to a tenth narrower at the resolution of the screen
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    pixel = figure.dpi / 72
    taken = [_around(panel, point, point, _MARK * pixel) for point in marks]
    taken += [_around(panel, first, last, _LINE * pixel) for first, last in lines]
    legend = panel.get_legend()
    if legend is not None:
        taken.append(legend.get_window_extent())
    room, left_out = panel.get_window_extent(), []
    for name in names:
        if not any(_fits(panel, name, where, room, taken) for where in _PLACES):
            left_out.append(name.text)
    figure.set_dpi(own)
    return left_out


def _around(panel: Axes, first: Point, last: Point, reach: float) -> Bbox:
    """The box of a line between two points, pixels."""
    ends = panel.transData.transform((first, last))
    return Bbox([ends.min(axis=0) - reach, ends.max(axis=0) + reach])


def _fits(panel: Axes, name: Name, where: tuple[int, int, float], room: Bbox, taken: list[Bbox]) -> bool:
    """Write the name there and add its box to `taken`, or leave no trace."""
    across, up, far = where
    scale = (name.gap + _GAP * (far - 1)) * (0.75 if across and up else 1.0)
    written = panel.annotate(
        name.text, (name.x, name.y), (scale * across, scale * up), textcoords="offset points", ha=_SIDE[across],
        va=_HEIGHT[up], fontsize=plt.rcParams["legend.fontsize"], fontweight="bold" if name.bold else "normal",
        arrowprops={**_CONNECTION, "relpos": ((1 - across) / 2, (1 - up) / 2)} if far > 1 else None,
    )  # fmt: skip
    box = _box(written)
    inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1
    if inside and not any(box.overlaps(other) for other in taken):
        taken.append(box)
        return True
    written.remove()
    return False


def _box(written: Annotation) -> Bbox:
    """Of the text alone, pixels: an annotation's own box holds its point and its line too."""
    figure = written.get_figure(root=True)
    assert figure is not None
    written.update_positions(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    return Text.get_window_extent(written).padded(1.0)
