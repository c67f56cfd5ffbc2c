"""What a sweep keeps in memory of a finished run: a few numbers, since there may be ten thousand."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """test, validation: text-to-video R@1, percent, whatever was measured. pretrain_hours: of its pre-training, which
    other runs may share; hours: of fine-tuning and evaluation; both of one device."""

    test: float
    validation: float
    pretrain_hours: float
    hours: float
    device: str


def outcome(result: Mapping[str, Any]) -> Outcome:
    """What a result.json tells; raises KeyError, TypeError or ValueError where it lacks what a result has."""
    test, validation = (float(result["metrics"][name]["text_to_video"]["R@1"]) for name in ("test", "validation"))
    cost = result["cost"]
    return Outcome(test, validation, *hours_of(cost), sys.intern(str(cost["device"])))


def hours_of(cost: Mapping[str, Any]) -> tuple[float, float]:
    """(pre-training, fine-tuning and evaluation) of a result's `cost`, in hours of a device."""
    devices = int(cost.get("devices", 1))
    rest = float(cost["finetune_seconds"]) + float(cost.get("evaluate_seconds", 0.0))
    return float(cost["pretrain_seconds"]) * devices / 3600, rest * devices / 3600


def score(found: Outcome | None) -> float | None:
    """What a study maximises: validation R@1; None where there is no outcome or it is no number."""
    return found.validation if found is not None and math.isfinite(found.validation) else None
