"""Tooltips of figures: the points of their panels, with text and position in the picture."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Transform

_NEAR = 0.004  # of the figure's sides: closer than this, one mark hides the other


@dataclass(frozen=True)
class Spot:
    """A point of a drawn figure: shares of its width (from the left) and height (from the top), and what it says."""

    left: float
    top: float
    text: str


@dataclass(frozen=True)
class _Mark:
    panel: Axes
    x: float
    y: float
    transform: Transform
    text: str


_MARKS: WeakKeyDictionary[Figure, list[_Mark]] = WeakKeyDictionary()  # a figure that is gone takes its marks with it


def mark(panel: Axes, x: float, y: float, text: str, transform: Transform | None = None) -> None:
    """Say `text` at (x, y), in data coordinates of the panel unless `transform` says otherwise."""
    figure = panel.get_figure(root=True)
    if figure is not None:
        _MARKS.setdefault(figure, []).append(_Mark(panel, x, y, transform or panel.transData, text))


def spots(figure: Figure) -> list[Spot]:
    """The marks inside their panels, panel by panel, left to right; the figure was saved, so its layout is settled.

    Marks that cover each other are one spot that says both.
    """
    placed: list[tuple[int, Spot]] = []
    panels = {panel: (number, panel.get_window_extent().padded(3)) for number, panel in enumerate(figure.axes)}
    near: dict[tuple[int, int, int], list[int]] = {}  # panel and place in steps of _NEAR -> indices in `placed`
    shares = figure.transFigure.inverted()
    for one in _MARKS.get(figure, []):
        position = one.transform.transform((one.x, one.y))
        panel, inside = panels[one.panel]
        if not inside.contains(*position):
            continue  # cut off by the panel's limits
        across, up = shares.transform(position)
        spot = Spot(round(float(across), 4), round(1 - float(up), 4), one.text)
        column, line = int(spot.left / _NEAR), int(spot.top / _NEAR)
        around = [near.get((panel, column + dx, line + dy), []) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
        covered = min((k for those in around for k in those if _covers(placed[k][1], spot)), default=None)
        if covered is None:
            near.setdefault((panel, column, line), []).append(len(placed))
            placed.append((panel, spot))
        else:
            other = placed[covered][1]
            placed[covered] = (panel, Spot(other.left, other.top, f"{other.text}. {spot.text}"))
    return [spot for _, spot in sorted(placed, key=lambda entry: (entry[0], entry[1].left, entry[1].top))]


def _covers(one: Spot, other: Spot) -> bool:
    return abs(one.left - other.left) < _NEAR and abs(one.top - other.top) < _NEAR
