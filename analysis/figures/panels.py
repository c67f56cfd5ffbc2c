"""What the panels of all figures share: names of axes, units, limits."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from analysis.stats.summary import MAIN, Row

_TICKS = 12  # values that are each named below the axis
R1 = "R@1, text-to-video (%)"


@dataclass(frozen=True)
class Axis:
    """How a config field is shown: the name in words, and the factor to the shown unit."""

    words: str
    label: str
    factor: float = 1.0
    log: bool = False


AXES = {
    "mask.video": Axis("video mask ratio", "video tubes masked (%)", 100),
    "mask.text": Axis("text mask ratio", "words masked (%)", 100),
    "mask.decoded": Axis("decoded tubes", "share of masked tubes decoded (%)", 100),
    "data.fraction": Axis("pre-training data", "share of the pre-training videos (%)", 100, log=True),
    "model.decoder_width": Axis("decoder width", "width of the pixel decoder"),
    "model.decoder_depth": Axis("decoder depth", "layers of the pixel decoder"),
    "objective.mvm": Axis("weight of MVM", "weight of MVM"),
    "objective.mlm": Axis("weight of MLM", "weight of MLM"),
    "objective.vtc": Axis("weight of VTC", "weight of VTC"),
    "objective.vtm": Axis("weight of VTM", "weight of VTM"),
    "objective.temperature": Axis("temperature", "temperature of the contrast"),
    "finetune.lr": Axis("fine-tuning rate", "learning rate of fine-tuning", log=True),
}


def axis_of(name: str) -> Axis:
    return AXES.get(name, Axis(name, name))


def wrap(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text[:1].upper() + text[1:], width))


def ratio_axis(panel: Axes, x: Sequence[float], axis: Axis) -> None:
    if axis.log:
        panel.set_xscale("log")
        panel.xaxis.set_minor_locator(NullLocator())
    if len(set(x)) <= _TICKS:
        panel.set_xticks(x, [f"{place:g}" for place in x])
    elif axis.log:
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
    panel.set_xlabel(axis.label + (", log scale" if axis.log else ""))
    if not x:
        return
    low, high = min(x), max(x)
    if axis.log:
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
