"""Cost of the runs of a row: measured time, or operations, which do not depend on the load of the machine."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from simvtp.errors import DataError

if TYPE_CHECKING:
    from analysis.runs.schema import Run
    from analysis.stats.summary import Row

_PREFIXES = ("G", "T", "P", "E")
_ROUNDING = 0.02  # equal compute is equal to a step


@dataclass(frozen=True)
class Cost:
    """A measure of cost in one unit.

    `of`: of one run; a row has the median of its seeds, since a run beside other work takes several times as long.
    `margin`: the share that rows must differ by to be called apart; None if costs are measured.
    """

    unit: str
    what: str
    of: Callable[[Run], float]
    margin: float | None = None

    def typical(self, row: Row) -> float:
        """NaN if no seed is finished."""
        import numpy as np  # not for --help

        return float(np.median([self.of(run) for run in row.runs.values()])) if row.runs else math.nan

    def span(self, row: Row) -> tuple[float, float]:
        """The least and the most that a seed took; NaN if there is none."""
        costs = [self.of(run) for run in row.runs.values()]
        return (min(costs), max(costs)) if costs else (math.nan, math.nan)

    def end(self, rows: Sequence[Row]) -> float:
        """Where an axis ends: at the dearest run, but not so far that one slow run hides what the medians say."""
        done = [row for row in rows if row.runs]
        return min(1.06 * max(self.span(row)[1] for row in done), 1.6 * max(map(self.typical, done))) or 1.0

    def clearly_cheaper(self, row: Row, other: Row) -> bool:
        """Whether a row clearly costs less than another: each of its seeds less than any of the other's."""
        if self.margin is None and row.seeds < 2:
            return False
        return self.span(row)[1] < (1 - (self.margin or 0)) * self.span(other)[0]

    def alike(self, rows: Sequence[Row]) -> bool:
        """Whether rows are known to cost the same."""
        costs = [self.typical(row) for row in rows]
        return self.margin is not None and min(costs) >= (1 - self.margin) * max(costs)

    def words(self, row: Row) -> str:
        """Such as '2.8 CPU min a run (2.1 to 6.4)'; the range where the seeds have one."""
        low, high = self.span(row)
        span = f" ({_number(low)} to {_number(high)})" if low < high else ""
        return f"{_number(self.typical(row))} {self.unit} a run{span}"

    def note(self, rows: Sequence[Row], bars: str = "") -> str:
        """How to read it; '' where there is nothing to say. bars: how the ranges of several seeds are drawn, if so."""
        if self.margin is not None:
            return f"Cost: {self.what}."
        how = f", {bars}" if bars else ""
        return f"Cost: median of the seeds{how}." if any(row.seeds > 1 for row in rows) else ""


Measure: TypeAlias = "Callable[[Sequence[Row]], Cost]"  # the measure in a unit that suits these rows


def time(rows: Sequence[Row]) -> Cost:
    """Time on a device, such as 'GPU h' or 'CPU min': hours where a run takes more than three."""
    runs = [run for row in rows for run in row.runs.values()]
    devices = {run.device for run in runs}
    device = devices.pop() if len(devices) == 1 else "device"
    plain = Cost(f"{device} min", "pre-training, fine-tuning, evaluation", lambda run: run.device_minutes)
    if max((plain.typical(row) for row in rows if row.runs), default=0) <= 180:
        return plain
    return Cost(f"{device} h", plain.what, lambda run: run.device_minutes / 60)


def operations(rows: Sequence[Row]) -> Cost:
    """Operations of pre-training (simvtp/models/flops.py), such as 'TFLOP'. DataError where a run has none on
    record."""
    costs = [_gflop(run) for row in rows for run in row.runs.values()]
    power = min(max(int(math.log10(max(costs, default=0) or 1) // 3), 0), len(_PREFIXES) - 1)
    return Cost(
        f"{_PREFIXES[power]}FLOP", "operations of pre-training", lambda run: _gflop(run) / 1000**power, _ROUNDING
    )


def _gflop(run: Run) -> float:
    gflop = run.cost.get("pretrain_gflop")
    if gflop is None or not float(gflop) >= 0:
        content = "has no cost.pretrain_gflop" if gflop is None else f"has cost.pretrain_gflop {gflop}"
        raise DataError(f"run {run.id}: its result.json {content}; draw it with --cost time")
    return float(gflop)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cost", choices=MEASURES, default="time", help="of a run: time as measured (the default), or "
                        "operations of pre-training, which other work on the machine does not change")  # fmt: skip


MEASURES: Mapping[str, Measure] = {"time": time, "operations": operations}
