"""How many tubes a mask ratio hides: the same for ratios that are close, which are then the same experiment."""

from __future__ import annotations

from simvtp.config.plugins.usage import made
from simvtp.config.schema import Mask, Model


def units_masked(ratio: float, units: int) -> int:
    """How many of `units` a ratio masks: the floor, as in VideoMAE (0.9 of 196 -> 176), never all of them."""
    return min(int(ratio * units + 1e-9), units - 1)


def tubes_masked(model: Model, mask: Mask) -> int:
    """Tubes of a clip that the mask hides; raises ConfigError for a kind of a plugin that is not loaded."""
    if mask.kind == "tube":
        return model.slots * units_masked(mask.video, model.cells)
    if mask.kind == "frame":
        return model.cells * units_masked(mask.video, model.slots)
    if mask.kind == "random":
        return units_masked(mask.video, model.tubes)
    count: int = made("mask", mask.kind).count(model, mask)
    return count


def tubes_decoded(model: Model, mask: Mask) -> int:
    """Number of masked tubes of a clip that the pixel decoder predicts."""
    masked = tubes_masked(model, mask)
    return min(masked, max(1, round(mask.decoded * masked)))
