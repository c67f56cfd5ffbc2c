"""What a sweep is: named points around a base config, one file of `sweeps/ablations/` per table of the paper."""

from __future__ import annotations

import functools
import importlib
import itertools
import pkgutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from optuna.distributions import FloatDistribution

from simvtp.config.schema import FIELDS, Config, flatten, override
from simvtp.errors import ConfigError, nearest
from simvtp.models.flops import pretrain_gflop

Setting = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """One assignment of the axes; `set` holds what differs from the base."""

    label: str
    set: Setting = field(default_factory=dict)


BASE = Point("base")


NO_PRETRAINING = Point("no pre-training", {"pretrain.length": "0 steps"})


@dataclass(frozen=True)
class Sweep:
    """points(base) -> the points, base included; parts: names of the sweeps that this one does at once."""

    title: str
    axes: tuple[str, ...] = ()
    points: Callable[[Config], Sequence[Point]] = lambda base: (BASE,)  # noqa: ARG005
    parts: tuple[str, ...] = ()


def curve(key: str, values: Sequence[float]) -> list[Point]:
    """A point for each value of one axis, all else as in the base."""
    return grid({key: values})


def choices(key: str, values: Sequence[Any]) -> list[Point]:
    """A point for each value of one axis that is no share."""
    return [Point(f"{FIELDS[key].label} {value}", {key: value}) for value in values]


def grid(axes: Mapping[str, Sequence[float]]) -> list[Point]:
    """The full product of several axes; raises ConfigError for an axis that is no config field."""
    names = {key: name_of(key, axes) for key in axes}
    settings = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    return [
        Point(", ".join(f"{names[key]} {FIELDS[key].show(value)}" for key, value in setting.items()), setting)
        for setting in settings
    ]


def name_of(key: str, axes: Collection[str] = ()) -> str:
    """The word for an axis in labels: mask.video -> video, data.fraction -> data; `pretrain lr` beside finetune.lr.

    Raises ConfigError where it is no config field.
    """
    if key not in FIELDS:
        raise ConfigError(f"unknown config key {key!r}{nearest(key, FIELDS)}")
    field = FIELDS[key]
    shared = sum(FIELDS[axis].label == field.label for axis in axes if axis in FIELDS) > 1
    return f"{field.section} {field.label}" if shared else field.label


def distinct(points: Sequence[Point], base: Config) -> list[Point]:
    """The base, then the other points without repeats, each with only what differs from the base."""
    own = flatten(base)
    found: dict[tuple[tuple[str, Any], ...], Point] = {}
    for point in points:
        changed = {key: value for key, value in point.set.items() if value != own[key]}
        if changed:
            found.setdefault(tuple(sorted(changed.items())), Point(point.label, changed))
    return [BASE, *found.values()]


def at_equal_compute(points: Sequence[Point], base: Config) -> list[Point]:
    """The same points, each with as many steps of pre-training as the FLOP of the base's pay for.

    Raises ConfigError where the base's length is given in epochs, whose steps depend on the corpus.
    """
    number, _, unit = base.pretrain.length.partition(" ")
    if not unit.startswith("step"):
        raise ConfigError(f'pretrain.length: equal compute needs a length in steps, not "{base.pretrain.length}"')
    found = []
    for point in points:
        cost = pretrain_gflop(override(base, point.set)) / pretrain_gflop(base)
        length = {"pretrain.length": f"{round(int(number) / cost)} steps"} if cost != 1 else {}
        found.append(Point(point.label, {**point.set, **length}))
    return found


def names() -> list[str]:
    """Every sweep of `sweeps/ablations/`, by file."""
    return [name for name, module in _ablations().items() if hasattr(module, "SWEEP")]


def searches() -> list[str]:
    """Every search of `sweeps/ablations/`, by file: it defines a space instead of points."""
    return [name for name, module in _ablations().items() if hasattr(module, "SEARCH")]


@functools.cache
def _ablations() -> dict[str, ModuleType]:
    found = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent / "ablations")]))
    return {name: importlib.import_module(f"sweeps.ablations.{name}") for name in found}


def find_sweep(name: str) -> Sweep:
    """The sweep of that name; raises ConfigError that offers the nearest one."""
    if name not in names():
        known = [*names(), *searches()]
        raise ConfigError(f"unknown sweep {name!r}; there are {', '.join(known)}{nearest(name, known)}")
    sweep: Sweep = _ablations()[name].SWEEP
    return sweep


def find_search(name: str) -> Search:
    """The search of that name, one of `searches()`."""
    search: Search = _ablations()[name].SEARCH
    return search


@dataclass(frozen=True)
class Axis:
    """A range of one config field. step: between neighbours; None: on a log scale, by factors of the base's value."""

    key: str
    low: float
    high: float
    step: float | None

    def range(self, base: Config) -> FloatDistribution:
        if self.step is not None:
            return FloatDistribution(self.low, self.high, step=self.step)
        own = float(flatten(base)[self.key])
        if own <= 0:
            raise ConfigError(f"{self.key}: {own} cannot be searched by factors; set it above 0, or leave it out")
        return FloatDistribution(_short(own * self.low), _short(own * self.high), log=True)

    def rounded(self, value: float) -> float:
        """A value as it stands in a config: of few digits, so that one and the same point has one id."""
        return round(value, 6) if self.step is not None else _short(value)


def even(key: str, low: float, high: float, step: float) -> Axis:
    """Evenly spaced values from low to high."""
    return Axis(key, low, high, step)


def factor(key: str, low: float, high: float) -> Axis:
    """From low to high times the base's value, evenly on a log scale, of two digits."""
    return Axis(key, low, high, None)


def _short(value: float) -> float:
    return float(f"{value:.1e}")


@dataclass(frozen=True)
class Search:
    """shares: of the full budget, at which trials are compared and the worse ones pruned; the last is 1."""

    title: str
    axes: tuple[Axis, ...]
    shares: tuple[Fraction, ...] = (Fraction(1, 9), Fraction(1, 3), Fraction(1))
    budget: str = "length"
