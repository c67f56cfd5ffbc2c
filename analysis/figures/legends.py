"""Legends outside of the panels, no wider than their figure."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import style

Place = Literal["outside upper left", "outside upper center", "outside upper right", "outside lower center"]
_LETTER = 0.55  # the width of a letter on average, as a share of its size
_GAPS = 2.6  # between the mark, its label and the next mark, as multiples of that size


def handles_of(panels: Sequence[Axes]) -> dict[str, Artist]:
    """Label -> its mark, of all panels."""
    return {text: mark for panel in panels for mark, text in zip(*panel.get_legend_handles_labels(), strict=True)}


def draw(
    figure: Figure,
    handles: Mapping[str, Artist],
    place: Place,
    *,
    most: int = 99,
    handle: float = 2.0,
    gap: float = 2.0,
) -> None:
    """Write a legend above or below the panels, with long labels in several lines.

    place: outside of the panels. most: columns. handle, gap: length of a line in it and room between columns, as
    multiples of the size of its letters.
    """
    size, width = style.small(), 72 * style.look().width
    room = max(8, int((width / size - _GAPS - handle) / _LETTER))
    labels = [textwrap.fill(label, room) for label in handles]
    ncols = min(most, _columns([size * (_LETTER * min(room, len(label)) + _GAPS + handle) for label in labels], width))
    figure.legend(list(handles.values()), labels, loc=place, ncols=ncols, handlelength=handle,
                  columnspacing=gap)  # fmt: skip


def _columns(widths: Sequence[float], width: float) -> int:
    """The most columns of entries with these widths that fit beside each other."""
    for columns in range(len(widths), 1, -1):
        height = math.ceil(len(widths) / columns)
        if sum(max(widths[k : k + height]) for k in range(0, len(widths), height)) <= width:
            return columns
    return 1
