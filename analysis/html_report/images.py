"""Figures and pictures as parts of one HTML file: base64, with alternative texts."""

from __future__ import annotations

import base64
import io
import struct
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from analysis.figures import style, tooltips
from analysis.figures.tooltips import Spot
from analysis.runs.schema import Unreadable

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """An image without a file. width and height: its own units (points of an SVG, pixels of a PNG)."""

    name: str
    title: str
    uri: str
    width: float
    height: float
    spots: list[Spot] = field(default_factory=list)


def drawn(figure: Figure, name: str) -> Picture:
    """The figure as SVG, with its points; closes it."""
    caption = style.caption_of(figure)
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata=style.METADATA["svg"])
    width, height = (72 * float(side) for side in figure.get_size_inches())
    picture = Picture(name, caption, _uri("svg+xml", content.getvalue()), width, height, tooltips.spots(figure))
    plt.close(figure)
    return picture


def from_png(path: Path, title: str) -> Picture:
    """A picture that another command wrote; raises Unreadable if it is no PNG."""
    content = path.read_bytes()
    if not content.startswith(_PNG) or len(content) < 24:
        raise Unreadable(f"{path.name} is not a whole PNG; write it again")
    width, height = struct.unpack(">II", content[16:24])
    return Picture(path.stem, title, _uri("png", content), width, height)


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
