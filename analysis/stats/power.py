"""The differences that a sweep's seeds can show, and the seeds that a wanted difference takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.stats.intervals import detectable, seeds_needed
from analysis.stats.summary import Summary


@dataclass(frozen=True)
class Power:
    """What a sweep's seeds can show, by its own paired differences to the base, Holm-corrected over its rows.

    deviation: of the paired difference over seeds, root mean square over rows, in points; seeds: the fewest of a row;
    shown: the true difference that is shown four times in five; needed: seeds that `Summary.wanted` points take, None
    where no number of seeds is enough; alone: the same for a row that is tested alone.
    """

    rows: int
    deviation: float
    seeds: int
    shown: float
    needed: int | None
    alone: int | None


def power(summary: Summary) -> Power | None:
    """None if no row has two seeds in common with the base, or nothing varies."""
    gaps = [row.difference for row in summary.finished_rows if row.difference and row.difference.interval.seeds > 1]
    deviation = math.sqrt(float(np.mean([gap.interval.deviation**2 for gap in gaps]))) if gaps else 0.0
    if not deviation:
        return None
    shared, rows = float(np.mean([gap.query_variance for gap in gaps])), len(gaps)
    seeds = min(gap.interval.seeds for gap in gaps)
    return Power(
        rows, deviation, seeds, detectable(seeds, deviation, shared, rows=rows),
        seeds_needed(summary.wanted, deviation, shared, rows=rows), seeds_needed(summary.wanted, deviation, shared),
    )  # fmt: skip


def power_note(summary: Summary) -> str:
    """`power` in words; '' if there is none."""
    result = power(summary)
    if result is None:
        return ""
    over = "" if result.rows == 1 else f" over {result.rows} rows"
    text = f"The paired difference to the base varies over seeds with a deviation of {result.deviation:.1f} points"
    text += f" (root mean square{over}). " if over else ". "
    text += f"{result.seeds} seeds show a true difference of {result.shown:.1f} points four times "
    text += f"in five{f', Holm-corrected{over}' if over else ''}; one of {summary.wanted:g} points takes "
    if result.needed is None:
        return text + "a larger test gallery: with these queries no number of seeds does."
    alone = f" ({result.alone} for a row that is tested alone)" if over else ""
    return text + f"about {result.needed} seeds{alone}."
