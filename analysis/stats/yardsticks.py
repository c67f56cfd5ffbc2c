"""Each objective of a row on held-out clips, beside baselines that need no learning (means over seeds).

The figures are those that a run measured itself (simvtp/evaluation/yardsticks.py); runs without them have none here.
An objective counts as learned by a row where every seed that measured it learned it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.stats.summary import Row

OBJECTIVES = {"mvm": "MVM", "mlm": "MLM", "vtm": "VTM", "vtc": "VTC"}
RETRIEVAL = "retrieval"
# The settings that an objective alone has: a row that varies them is about that objective.
_SETTINGS = {
    "mvm": ("objective.mvm", "mask.video", "mask.kind", "mask.decoded", "model.decoder_"),
    "mlm": ("objective.mlm", "mask.text", "mask.words"),
    "vtm": ("objective.vtm", "objective.negatives"),
    "vtc": ("objective.vtc", "objective.contrast", "objective.temperature", "objective.learn_temperature"),
}


@dataclass(frozen=True)
class Yardstick:
    """One objective of one row. values: name of a figure -> its mean over seeds; seeds: how many measured it; learned:
    how many of them learned it."""

    name: str
    values: Mapping[str, float]
    seeds: int
    learned: int

    @property
    def is_learned(self) -> bool:
        return self.learned == self.seeds

    @property
    def verdict(self) -> str:
        """'learned' or 'not learned', with the number of seeds where they differ."""
        if self.is_learned:
            return "learned"
        return "not learned" if not self.learned else f"not learned ({self.seeds - self.learned} of {self.seeds} seeds)"


def of_row(row: Row) -> dict[str, Yardstick]:
    """Objective -> its yardstick, of those that some seed measured; in the order MVM, MLM, VTM, VTC."""
    by_key = {}
    for key, name in OBJECTIVES.items():
        parts = [run.yardsticks[key] for run in row.runs.values() if key in run.yardsticks]
        if parts:
            learned = sum(part.get("learned") is True for part in parts)
            by_key[key] = Yardstick(name, _means(parts), len(parts), learned)
    return by_key


def retrieval(row: Row) -> dict[str, float]:
    """chance, ceiling, and the ridge baselines by name: R@1 of text-to-video in percent; empty if none measured."""
    return _means([run.yardsticks[RETRIEVAL] for run in row.runs.values() if RETRIEVAL in run.yardsticks])


def _means(parts: list[Mapping[str, float]]) -> dict[str, float]:
    """Of the figures that every part has."""
    names = [name for name in (parts[0] if parts else ()) if name != "learned" and all(name in part for part in parts)]
    means = {name: sum(float(part[name]) for part in parts) / len(parts) for name in names}
    return {name: value for name, value in means.items() if math.isfinite(value)}


def not_learned(row: Row) -> list[str]:
    """Names of the objectives that the row measured and did not learn in every seed."""
    return [one.name for one in of_row(row).values() if not one.is_learned]


def without_claim(row: Row, base: Row | None) -> list[str]:
    """Names of the objectives that the row is about and that it, or the base, has not learned: nothing can be claimed
    about them from its difference."""
    missing = {*not_learned(row), *(not_learned(base) if base else ())}
    about = {OBJECTIVES[key] for key, settings in _SETTINGS.items()
             if any(name.startswith(settings) for name in row.point.set)}  # fmt: skip
    return [name for name in OBJECTIVES.values() if name in missing & about]
