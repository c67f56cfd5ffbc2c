"""Definition of a search: axes of a space around a base config, objectives, constraints. A file defines SEARCH."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from simvtp.config.formats import steps_of
from simvtp.config.schema import FIELDS, Config
from simvtp.errors import ConfigError, quoted
from simvtp.models.flops import pretrain_gflop
from sweeps.definition import known_field

# Optuna's TPE, univariate or multivariate (Falkner et al. 2018, "BOHB"), and random search.
SAMPLERS = ("tpe", "joint_tpe", "random")


@dataclass(frozen=True)
class Axis:
    """The values of one config field in a search; made by `uniform`, `log_uniform`, `log_factor` and `one_of`.

    key: path of the field; values are whole numbers if its type is int. low, high: bounds, both included. step:
    difference of neighbouring values; None: a log scale. of_base: low and high are factors of the base's value.
    choices: the values, instead of a range.

    Raises ConfigError for a field that is unknown, changes no result or is not numeric, and for invalid values.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    of_base: bool = False
    choices: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        field = FIELDS[known_field(self.key)]
        if self.key == "seed" or not field.in_id:
            raise ConfigError(f"{self.key}: it cannot be searched, as it is not part of what a run is")
        if self.choices:
            object.__setattr__(self, "choices", tuple(map(field.normal, self.choices)))
            if len(set(self.choices)) < len(self.choices):
                raise ConfigError(f"{self.key}: a choice is there twice among {', '.join(map(str, self.choices))}")
            return
        if field.kind not in (int, float):
            raise ConfigError(f"{self.key}: it holds no number; name its values with one_of")
        if not self.low < self.high or (self.step is None and self.low <= 0) or (self.step or 1) <= 0:
            raise ConfigError(
                f"{self.key}: {self.low:g} to {self.high:g} is no range; low < high, on a log scale above 0"
            )
        if not self.of_base:
            for value in (self.low, self.high):
                field.normal(value)
        if self.is_whole and self.step is not None and self.step != int(self.step):
            raise ConfigError(f"{self.key}: it takes whole numbers, so the step is one too, not {self.step:g}")
        if not self.is_on_grid(self.high):
            raise ConfigError(
                f"{self.key}: {self.high:g} is no whole number of steps of {self.step:g} from {self.low:g}; change one"
            )

    @property
    def is_whole(self) -> bool:
        """Whether the field takes whole numbers."""
        return FIELDS[self.key].kind is int

    def is_on_grid(self, value: Any) -> bool:
        """Whether a value is one of the choices, or a whole number of steps from `low`; bounds are not checked."""
        if self.choices:
            return value in self.choices
        return self.step is None or abs((value - self.low) / self.step - round((value - self.low) / self.step)) < 1e-6

    def rounded(self, value: Any) -> Any:
        """A value rounded to few digits, as it is written to a config, so that equal points have equal ids."""
        if self.choices:
            return value
        if self.is_whole:
            return round(value)
        return round(float(value), 6) if self.step is not None else two_digits(float(value))


def uniform(key: str, low: float, high: float, step: float) -> Axis:
    """Evenly spaced numbers from low to high."""
    return Axis(key, low, high, step)


def log_uniform(key: str, low: float, high: float) -> Axis:
    """Values from low to high, uniform on a log scale: whole numbers, or numbers of two digits."""
    return Axis(key, low, high)


def log_factor(key: str, low: float, high: float) -> Axis:
    """Like `log_uniform`, with bounds of low and high times the base's value."""
    return Axis(key, low, high, of_base=True)


def one_of(key: str, *values: Any) -> Axis:
    """One of these values, numbers or strings, without an order."""
    return Axis(key, choices=values)


def two_digits(value: float) -> float:
    """1.234e-3 -> 1.2e-3."""
    return float(f"{value:.1e}")


@dataclass(frozen=True)
class Measure:
    """A cost of a config that is known before it is trained. name: with its unit, for figures. of: config -> number."""

    name: str
    of: Callable[[Config], float]


def _pretrain_tflop(config: Config) -> float:
    if not config.is_pretrained:
        return 0.0
    if not config.pretrain.length.endswith("steps"):
        raise ConfigError(f'pretrain.length: FLOP are known for a length in steps, not "{config.pretrain.length}"')
    return pretrain_gflop(config) * steps_of(config.pretrain.length, 0) / 1e3


FLOP = Measure("pre-training (TFLOP)", _pretrain_tflop)  # simvtp.models.flops; raises ConfigError for epochs


@dataclass(frozen=True)
class AtMost:
    """A constraint: points whose measure exceeds `factor` times that of the base are not trained."""

    measure: Measure
    factor: float = 1.0


@dataclass(frozen=True)
class Search:
    """A space to search around a base config, for the highest validation R@1.

    title: one line, for tables and figures. axes: the fields and their values. shares: shares of the full budget,
    rising to 1, at which trials are compared and pruned (rungs). budget: what the shares apply to: "length" of both
    stages, or "data". minimise: further objectives; the result is then a Pareto front. constraints: limits that a point
    must keep. sampler: one of SAMPLERS.

    Raises ConfigError for no axis, two axes of one field, members of other types, and an unknown sampler.
    """

    title: str
    axes: tuple[Axis, ...]
    shares: tuple[Fraction, ...] = (Fraction(1, 9), Fraction(1, 3), Fraction(1))
    budget: str = "length"
    minimise: tuple[Measure, ...] = ()
    constraints: tuple[AtMost, ...] = ()
    sampler: str = "tpe"

    def __post_init__(self) -> None:
        for name, kind in (("axes", Axis), ("minimise", Measure), ("constraints", AtMost)):
            given = getattr(self, name)
            if not isinstance(given, tuple | list) or not all(isinstance(one, kind) for one in given):
                raise ConfigError(f"{name} of a search: {quoted(given)} is no tuple of {kind.__name__}; mind the comma")
            object.__setattr__(self, name, tuple(given))
        if not self.axes:
            raise ConfigError("axes of a search: there is none, so nothing would be searched")
        names = [measure.name for measure in self.minimise]
        if len(set(names)) < len(names):
            raise ConfigError(f"minimise of a search: a measure is there twice among {', '.join(names)}")
        keys = [axis.key for axis in self.axes]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise ConfigError(f"{twice[0]}: it is there twice among the axes")
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"sampler {self.sampler!r} is not known; it is one of {', '.join(SAMPLERS)}")
