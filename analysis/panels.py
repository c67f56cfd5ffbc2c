"""What the panels of all figures share: names of axes, units, limits."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from analysis.summary import MAIN, Row, Summary

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


def time_unit(rows: Sequence[Row]) -> tuple[str, int]:
    """Such as 'GPU h' or 'CPU min', and how many minutes it has: hours where a run takes more than three."""
    devices = {run.device for row in rows for run in row.runs.values()}
    device = devices.pop() if len(devices) == 1 else "device"
    hours = max((row.device_minutes for row in rows if row.runs), default=0) > 180
    return (f"{device} h", 60) if hours else (f"{device} min", 1)


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
    if not axis.log and x:
        margin = 0.08 * (max(x) - min(x) or 1)
        panel.set_xlim(min(x) - margin, max(x) + margin)


def headroom(panels: Sequence[Axes], summary: Summary) -> str:
    """From 0 to a little above the highest value; returns a note where an interval reaches further and is cut."""
    values = [value for row in summary.finished_rows for split in ("test", "test_seen")
              for value in row.values("R@1", MAIN, split)]  # fmt: skip
    end = max(row.level[MAIN].high for row in summary.finished_rows)
    limit = min(1.08 * max(*values, end), 1.5 * max(values)) or 1.0
    panels[0].set_ylim(0, limit)
    return "Intervals that reach beyond the panel are cut." if end > limit else ""
