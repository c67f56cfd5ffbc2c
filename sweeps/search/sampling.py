"""The next point of a search, by one of Optuna's samplers."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.search.space import Space


def draw(study: optuna.Study, space: Space, seed: int) -> dict[str, Any]:
    """Values of all axes, rounded. Drawn in a copy of the study in memory: a trial is written whole, by one write.

    seed: the same one and the same trials give the same point.
    """
    draft = optuna.create_study(directions=study.directions, sampler=sampler_of(space.search.sampler, seed))
    several = len(space.objectives) > 1
    for trial in study.get_trials(deepcopy=False):
        draft.add_trial(_without_rungs(trial) if several and trial.state == TrialState.PRUNED else trial)
    return space.rounded(draft.ask(dict(space.ranges)).params)


def _without_rungs(trial: FrozenTrial) -> FrozenTrial:
    """A pruned trial as a sampler of several objectives takes it: Optuna ranks values of rungs for one objective."""
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
