"""The search space: ranges of config fields, the budgets of a trial, and the sampler that draws the next point."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from simvtp.config.run_id import FILES, pretrain_id, run_id
from simvtp.config.schema import FIELDS, Config, flatten, override
from simvtp.data.resolve import resolved
from simvtp.errors import ConfigError, DataError, nearest
from sweeps.plan import Run
from sweeps.search_definition import Axis, Search, two_digits
from sweeps.study.journal_file import Direction

BUDGETS = ("length", "data")
SCORE = "validation R@1, text-to-video (%)"
RUNNABLE = "config that can be run"  # a constraint of every search

Params = Mapping[str, Any]
Distribution = FloatDistribution | IntDistribution | CategoricalDistribution


@dataclass(frozen=True)
class Space:
    """A search space around a base config.

    search: its definition. base: the config that the axes change. seeds: of each trial; a rung has a run for each.

    Raises ConfigError if no trial could be run.
    """

    search: Search
    base: Config
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        needs_epochs = self.search.budget == "data" and len(self.search.shares) > 1
        if needs_epochs and "epoch" not in self.base.pretrain.length:
            raise ConfigError(
                f"--budget data: pretrain.length is {self.base.pretrain.length!r}, so less data would cost no less; "
                "give it in epochs, or use --budget length"
            )
        for share in self.search.shares:
            self.config(self.base_params() or {}, share, self.seeds[0])
        for axis in self.search.axes:
            for choice in (
                axis.choices if FIELDS[axis.key].is_open else ()
            ):  # plugins add choices, which the config checks
                override(self.base, {axis.key: choice})
        self.costs({})
        self.violations({})
        _ = self.ranges

    @cached_property
    def ranges(self) -> dict[str, Distribution]:
        """Optuna's distribution of each axis."""
        return {axis.key: distribution(axis, self.base) for axis in self.search.axes}

    @property
    def objectives(self) -> dict[str, Direction]:
        """Name of each objective, with its unit -> "maximize" or "minimize"."""
        costs: dict[str, Direction] = {measure.name: "minimize" for measure in self.search.minimise}
        return {SCORE: "maximize", **costs}

    def base_params(self) -> dict[str, Any] | None:
        """The base as a point of the space; None if it is outside or between the values of an axis."""
        own = flatten(self.base)
        for axis in self.search.axes:
            value, range_ = own[axis.key], self.ranges[axis.key]
            within = isinstance(range_, CategoricalDistribution) or range_.low <= value <= range_.high
            if not (within and axis.is_on_grid(value) and axis.rounded(value) == value):
                return None
        return {axis.key: axis.rounded(own[axis.key]) for axis in self.search.axes}

    def rounded(self, params: Params) -> dict[str, Any]:
        return {axis.key: axis.rounded(params[axis.key]) for axis in self.search.axes}

    def config(self, params: Params, share: Fraction, seed: int) -> Config:
        """The config of a point at a share of the budget; share 1: the full budget. Raises ConfigError."""
        config = override(self.base, {**params, "seed": seed})
        return at_share(resolved(config) if FILES & params.keys() else config, share, self.search.budget)

    def runs(self, params: Params, share: Fraction, label: str) -> list[Run]:
        """One run for each seed."""
        configs = [self.config(params, share, seed) for seed in self.seeds]
        return [Run(run_id(config), pretrain_id(config), config, label, config.seed) for config in configs]

    def costs(self, params: Params) -> tuple[float, ...]:
        """The measures to minimise, for a point at the full budget; raises ConfigError."""
        config = override(self.base, params)
        return tuple(measure.of(config) for measure in self.search.minimise)

    def violations(self, params: Params) -> dict[str, float]:
        """By how much a point exceeds each constraint; 0 or less: it fulfils it."""
        try:
            config = self.config(params, Fraction(1), self.seeds[0])
        except (ConfigError, DataError):
            return {RUNNABLE: 1.0}
        excess = {RUNNABLE: 0.0}
        for part in self.search.constraints:
            excess[part.measure.name] = part.measure.of(config) - part.factor * part.measure.of(self.base)
        return excess


def distribution(axis: Axis, base: Config) -> Distribution:
    """Optuna's distribution of an axis; raises ConfigError for factors of a base value that is 0."""
    if axis.choices:
        return CategoricalDistribution(axis.choices)
    low, high = axis.low, axis.high
    if axis.of_base:
        own = float(flatten(base)[axis.key])
        if own <= 0:
            raise ConfigError(f"{axis.key}: {own} cannot be searched by factors; set it above 0, or leave it out")
        low, high = (FIELDS[axis.key].normal(axis.rounded(own * factor)) for factor in (low, high))
    if axis.is_whole:
        return IntDistribution(int(low), int(high), step=int(axis.step or 1), log=axis.step is None)
    if axis.step is not None:
        return FloatDistribution(low, high, step=axis.step)
    return FloatDistribution(two_digits(low), two_digits(high), log=True)


def at_share(base: Config, share: Fraction, budget: str) -> Config:
    """The base with a share of its data, or with both schedules shortened, warm-up included.

    A shortened schedule has its own cosine that ends at lr_end: it is a separate run, not the beginning of a longer
    one, so its R@1 is that of a finished run.
    """
    if share == 1:
        return base
    if budget == "data":
        return override(base, {"data.fraction": round(float(base.data.fraction * share), 6)})
    own = flatten(base)
    keys = [f"{stage}.{name}" for stage in ("pretrain", "finetune") for name in ("length", "warmup")]
    return override(base, {key: shortened(str(own[key]), share) for key in keys})


def shortened(length: str, share: Fraction) -> str:
    """ "400 steps", 1/4 -> "100 steps"; at least one step, unless the length is 0."""
    number, unit = length.split()
    if unit.startswith("step"):
        return f"{max(round(int(float(number)) * share), int(float(number) > 0))} {unit}"
    return f"{float(number) * float(share):.4f}".rstrip("0").rstrip(".") + f" {unit}"


def shares_of(text: str) -> tuple[Fraction, ...]:
    """ "1/9,1/3,1" -> shares; raises ConfigError unless they rise to 1."""
    try:
        shares = tuple(Fraction(part.strip()) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        shares = ()
    if not shares or shares[0] <= 0 or shares[-1] != 1 or any(a >= b for a, b in pairwise(shares)):
        raise ConfigError(f"--rungs {text!r}: write rising shares of the budget that end with 1, such as 1/9,1/3,1")
    return shares


def chosen_axes(axes: Sequence[Axis], text: str) -> tuple[Axis, ...]:
    """The axes that --over names, in the search's order; raises ConfigError."""
    known = [axis.key for axis in axes]
    wanted = [part.strip() for part in text.split(",")]
    for key in wanted:
        if key not in known:
            raise ConfigError(f"--over {key!r}: the search is over {', '.join(known)}{nearest(key, known)}")
    return tuple(axis for axis in axes if axis.key in wanted)


def draw(study: optuna.Study, space: Space, seed: int) -> dict[str, Any]:
    """Draw a point: values of all axes, rounded.

    It is drawn in a copy of the study in memory, since a trial is written to the study itself by one write. seed: of
    the sampler; the same seed and trials give the same point.
    """
    draft = optuna.create_study(directions=study.directions, sampler=sampler_of(space.search.sampler, seed))
    several = len(space.objectives) > 1
    for trial in study.get_trials(deepcopy=False):
        draft.add_trial(_without_rungs(trial) if several and trial.state == TrialState.PRUNED else trial)
    return space.rounded(draft.ask(dict(space.ranges)).params)


def _without_rungs(trial: FrozenTrial) -> FrozenTrial:
    """A pruned trial without values of rungs, which Optuna's samplers accept with one objective only."""
    return create_trial(
        state=trial.state, params=trial.params, distributions=trial.distributions, constraints=trial.constraints
    )


def sampler_of(name: str, seed: int) -> BaseSampler:
    """Optuna's sampler of that name, one of sweeps.search_definition.SAMPLERS."""
    if name == "random":
        return RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=name == "joint_tpe")
