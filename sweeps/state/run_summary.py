"""Summary of a finished run, from its result.json."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Summary of one finished run.

    test, validation: text-to-video R@1 in percent. pretrain_hours: hours of one device for its pre-training, which
    other runs may share. hours: hours of one device for fine-tuning and evaluation. device: such as "cpu" or "cuda".
    """

    test: float
    validation: float
    pretrain_hours: float
    hours: float
    device: str


def summarize(result: Mapping[str, Any]) -> RunSummary:
    """The summary of a result.json; raises KeyError, TypeError or ValueError where a field is missing or wrong."""
    test, validation = (float(result["metrics"][name]["text_to_video"]["R@1"]) for name in ("test", "validation"))
    cost = result["cost"]
    return RunSummary(test, validation, *device_hours(cost), sys.intern(str(cost["device"])))


def device_hours(cost: Mapping[str, Any]) -> tuple[float, float]:
    """(pre-training, fine-tuning and evaluation) of a result's `cost`, in hours of a device."""
    devices = int(cost.get("devices", 1))
    rest = float(cost["finetune_seconds"]) + float(cost.get("evaluate_seconds", 0.0))
    return float(cost["pretrain_seconds"]) * devices / 3600, rest * devices / 3600


def score(summary: RunSummary | None) -> float | None:
    """The objective of a study: validation R@1; None if there is no summary or the value is not finite."""
    return summary.validation if summary is not None and math.isfinite(summary.validation) else None
