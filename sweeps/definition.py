"""Definition of a sweep: named points around a base config. One file per table of the paper.

Files of `sweeps/ablations/` are called by name, files elsewhere by path: `python sweeps/run.py my_study.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from simvtp.config.schema import FIELDS, REMOVED, Config, flatten, override, unknown
from simvtp.errors import ConfigError, quoted
from simvtp.models.flops import finetune_gflop, pretrain_gflop

Setting = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """One assignment of the axes.

    label: in tables and figures, one line. set: the config fields that differ from the base. Raises ConfigError.
    """

    label: str
    set: Setting = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.label, str) or self.label.splitlines() != [self.label] or not self.label.strip():
            raise ConfigError(f"the label of a point is one line of text, not {quoted(self.label)}")
        if not isinstance(self.set, Mapping):
            raise ConfigError(f"point {self.label!r}: its settings are field: value pairs, not {quoted(self.set)}")


BASE = Point("base")


NO_PRETRAINING = Point("no pre-training", {"pretrain.length": "0 steps"})


@dataclass(frozen=True)
class Sweep:
    """A named set of points around a base config; a sweep's file defines one as SWEEP.

    title: one line, for tables and figures. points: those beside the base, which is added automatically; or a function
    that returns them for a base config. axes: the config fields that vary, in the order of the table's columns; by
    default those that the points set, in the order of the schema. parts: names of sweeps of `sweeps/ablations/` that
    this one joins; it then has no points of its own.

    Raises ConfigError for an axis that is no config field.
    """

    title: str
    _: KW_ONLY
    axes: tuple[str, ...] = ()
    points: Sequence[Point] | Callable[[Config], Sequence[Point]] = ()
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in self.axes:
            known_field(key)
        if not callable(self.points):
            object.__setattr__(self, "points", tuple(self.points))  # a generator would give them once

    def points_around(self, base: Config) -> tuple[Point, ...]:
        """The base, then the points that differ from it, each once and with only the fields that differ.

        Raises ConfigError for an unknown field, an invalid value, a label of two points, and a point that no run could
        differ by.
        """
        points = distinct(self.points(base) if callable(self.points) else self.points, base)
        labels: dict[str, Point] = {}
        for point in points:
            if point.label in labels:
                settings = " and ".join(map(_typed, (labels[point.label].set, point.set)))
                raise ConfigError(f"label {point.label!r} stands for two points, {settings}; give each its own")
            labels[point.label] = point
        return tuple(points)

    def axes_of(self, points: Iterable[Point]) -> tuple[str, ...]:
        """The sweep's axes, or the fields that the points set."""
        return self.axes or tuple(in_order({key for point in points for key in point.set}))


def _typed(setting: Setting) -> str:
    return " ".join(f"{key}={value}" for key, value in setting.items()) or "the base"


def known_field(key: str) -> str:
    """The key itself; raises ConfigError if it is no config field."""
    if key in REMOVED:
        raise ConfigError(f"{key} is no field of this version: {REMOVED[key]}")
    if key not in FIELDS:
        raise unknown(key, FIELDS)
    return key


def in_order(keys: Collection[str]) -> list[str]:
    """Config fields in the order of the schema."""
    return [key for key in FIELDS if key in keys]


def choices(key: str, values: Sequence[Any]) -> list[Point]:
    """A point for each value of one field; all other fields are those of the base. Raises ConfigError like `grid`."""
    return grid({key: values})


def grid(axes: Mapping[str, Sequence[Any]]) -> list[Point]:
    """The full product of several axes, the last one varying fastest.

    axes: config field -> its values. Raises ConfigError for an axis that is no config field, and for an invalid value.
    """
    axes = _listed(axes)
    return _labelled(axes, itertools.product(*axes.values()))


def paired(axes: Mapping[str, Sequence[Any]]) -> list[Point]:
    """A point of the first values of all axes, one of the second values, and so on.

    Raises ConfigError like `grid`, and if the axes have different numbers of values.
    """
    axes = _listed(axes)
    counts = {key: len(values) for key, values in axes.items()}
    if len(set(counts.values())) > 1:
        words = ", ".join(f"{key} has {count}" for key, count in counts.items())
        raise ConfigError(f"paired axes have as many values each: {words}")
    return _labelled(axes, zip(*axes.values(), strict=True))


def _listed(axes: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    for key, values in axes.items():
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise ConfigError(f"{key}: {quoted(values)} is one value; give a list of values, such as [{values!r}]")
    return {key: list(values) for key, values in axes.items()}


def _labelled(axes: Mapping[str, Any], settings: Iterable[tuple[Any, ...]]) -> list[Point]:
    names = {key: name_of(key, axes) for key in axes}
    labelled = []
    for values in settings:
        setting = {key: FIELDS[key].normal(value) for key, value in zip(axes, values, strict=True)}
        label = ", ".join(f"{names[key]} {FIELDS[key].show(value)}" for key, value in setting.items())
        labelled.append(Point(label, setting))
    return labelled


def name_of(key: str, axes: Collection[str] = ()) -> str:
    """The word for an axis in labels: mask.video -> video, data.fraction -> data; `pretrain lr` beside finetune.lr.

    axes: all of the sweep. Raises ConfigError if one is no config field.
    """
    own = FIELDS[known_field(key)]
    shared = sum(FIELDS[known_field(axis)].label == own.label for axis in axes) > 1
    return f"{own.section} {own.label}" if shared else own.label


def distinct(points: Iterable[Point], base: Config) -> list[Point]:
    """The base, then the other points without repeats, each with only the fields that differ from the base.

    Raises ConfigError, naming the point, for an unknown field and for an invalid value.
    """
    own = flatten(base)
    points = list(points)
    for point in points:
        if not isinstance(point, Point):
            raise ConfigError(f"a point is made by Point(label, {{field: value}}), and {quoted(point)} is none")
        if "seed" in point.set:
            raise ConfigError(f"point {point.label!r}: each seed of --seeds trains every point; leave it out")
    by_changes: dict[tuple[tuple[str, Any], ...], Point] = {}
    for point in points:
        try:
            values = {key: FIELDS[known_field(key)].normal(value) for key, value in point.set.items()}
        except ConfigError as error:
            raise ConfigError(f"point {point.label!r}: {error}") from error
        changed = {key: value for key, value in values.items() if value != own[key]}
        if changed and not any(FIELDS[key].in_id for key in changed):
            raise ConfigError(f"point {point.label!r}: {' and '.join(changed)} changes no result; take it with --set")
        if changed:
            by_changes.setdefault(tuple(sorted(changed.items())), Point(point.label, changed))
    return [BASE, *by_changes.values()]


def on_corpora(options: Sequence[str], points: Sequence[Point], base: Config) -> list[Point]:
    """The points on the base's corpora, then, for each option of these, a point on the changed corpora and the points
    there.

    options: such as "share=0.7", of data.pretrain and data.finetune alike. Tables compare a point on another corpus
    with the point that has the base's settings there.
    """
    joined = list(points)
    for option in options:
        corpora = {
            f"data.{stage}": f"{corpus}{'&' if '?' in corpus else '?'}{option}"
            for stage, corpus in (("pretrain", base.data.pretrain), ("finetune", base.data.finetune))
        }
        label = option.replace("=", " ")
        joined.append(Point(label, corpora))
        joined += [Point(f"{label}, {point.label}", {**corpora, **point.set}) for point in points]
    return joined


def at_equal_compute(points: Sequence[Point], base: Config) -> list[Point]:
    """The same points, each pre-trained for as many steps as cost the FLOP of the base's pre-training.

    Raises ConfigError if the base's length is given in epochs, whose number of steps depends on the corpus.
    """
    number = _steps("pretrain.length", base.pretrain.length)
    lengthened = []
    for point in points:
        cost = pretrain_gflop(override(base, point.set)) / pretrain_gflop(base)
        length = {"pretrain.length": f"{round(number / cost)} steps"} if cost != 1 else {}
        lengthened.append(Point(point.label, {**point.set, **length}))
    return lengthened


def all_in_finetuning(base: Config) -> Point:
    """No pre-training; its FLOP are spent on additional steps of fine-tuning.

    Raises ConfigError if a length of the base is given in epochs, whose number of steps depends on the corpus.
    """
    pretraining = _steps("pretrain.length", base.pretrain.length) * pretrain_gflop(base)
    steps = _steps("finetune.length", base.finetune.length) + round(pretraining / finetune_gflop(base))
    return Point("no pre-training", {"pretrain.length": "0 steps", "finetune.length": f"{steps} steps"})


def _steps(key: str, length: str) -> int:
    number, _, unit = length.partition(" ")
    if not unit.startswith("step"):
        raise ConfigError(f'{key}: equal compute needs a length in steps, not "{length}"')
    return int(number)
