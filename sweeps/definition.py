"""What a sweep is: named points around a base config, one file of this folder per table of the paper."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simvtp.config import Config, flatten, override
from simvtp.cost import pretrain_gflop
from simvtp.validation import ConfigError, nearest

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
    return [_point({key: value}) for value in values]


def choices(key: str, values: Sequence[Any]) -> list[Point]:
    """A point for each value of one axis that is no share."""
    return [Point(f"{name_of(key).replace('_', ' ')} {value}", {key: value}) for value in values]


def grid(axes: Mapping[str, Sequence[float]]) -> list[Point]:
    """The full product of several axes."""
    return [_point(dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())]


def _point(setting: dict[str, float]) -> Point:
    return Point(", ".join(f"{name_of(key)} {value:.0%}" for key, value in setting.items()), setting)


def name_of(key: str) -> str:
    """The word for an axis in labels: mask.video -> video, data.fraction -> data."""
    section, _, name = key.rpartition(".")
    return section if name == "fraction" else name


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
    """Every sweep, by file: those of this folder that define one."""
    return _defining("SWEEP")


def searches() -> list[str]:
    """Every search, by file: those that define a space instead of points."""
    return _defining("SEARCH")


def search_title(name: str) -> str:
    title: str = importlib.import_module(f"sweeps.{name}").SEARCH.title
    return title


def _defining(name: str) -> list[str]:
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if f"\n{name} = " in path.read_text())


def find(name: str) -> Sweep:
    """The sweep of that name; raises ConfigError that offers the nearest one."""
    if name not in names():
        known = [*names(), *searches()]
        raise ConfigError(f"unknown sweep {name!r}; there are {', '.join(known)}{nearest(name, known)}")
    sweep: Sweep = importlib.import_module(f"sweeps.{name}").SWEEP
    return sweep
