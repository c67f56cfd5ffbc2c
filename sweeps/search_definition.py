"""What a search is: a space of configs around a base, which trials are drawn from; a file defines one as SEARCH."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Axis:
    """A range of one config field, for a search.

    key: of the field. low, high: both included. step: between neighbouring values; None: on a log scale, and low and
    high are factors of the base's value.
    """

    key: str
    low: float
    high: float
    step: float | None

    def is_on_grid(self, value: float) -> bool:
        """Whether a value is one that the axis takes."""
        return self.step is None or abs((value - self.low) / self.step - round((value - self.low) / self.step)) < 1e-6

    def rounded(self, value: float) -> float:
        """A value as it stands in a config: of few digits, so that one and the same point has one id."""
        return round(value, 6) if self.step is not None else two_digits(value)


def uniform(key: str, low: float, high: float, step: float) -> Axis:
    """Evenly spaced values from low to high."""
    return Axis(key, low, high, step)


def log_factor(key: str, low: float, high: float) -> Axis:
    """From low to high times the base's value, evenly on a log scale, of two digits."""
    return Axis(key, low, high, None)


def two_digits(value: float) -> float:
    """1.234e-3 -> 1.2e-3."""
    return float(f"{value:.1e}")


@dataclass(frozen=True)
class Search:
    """A space to search around a base config; a file of `sweeps/ablations/` defines one as SEARCH.

    title: one line, for tables and figures. axes: the ranges. shares: of the full budget, rising to 1, at which trials
    are compared and the worse ones pruned. budget: what the shares are of: "length" of both stages, or "data".
    """

    title: str
    axes: tuple[Axis, ...]
    shares: tuple[Fraction, ...] = (Fraction(1, 9), Fraction(1, 3), Fraction(1))
    budget: str = "length"
