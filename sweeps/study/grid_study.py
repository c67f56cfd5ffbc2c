"""A sweep as an Optuna study: one trial a run, made from the run folders, for Optuna Dashboard and `optuna.load_study`.

The journal is derived from the run folders: the controller writes it at most once a minute and at the end, and no
decision depends on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from optuna import logging as optuna_logging
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from simvtp.config.schema import flatten
from sweeps.plan import Plan
from sweeps.state.run_states import RunRegistry, RunState, score, summarize
from sweeps.study.journal_file import write_journal

WRITE_SECONDS = 60.0


class GridStudy:
    """Objective: validation text-to-video R@1, to be maximised.

    plan: the runs. registry: of the results folder. path: the journal. Runs of earlier commands with other seeds, which
    sweep.json still names, are trials too.
    """

    def __init__(self, plan: Plan, registry: RunRegistry, path: Path) -> None:
        optuna_logging.set_verbosity(optuna_logging.WARNING)
        self.plan, self.registry, self.path = plan, registry, path
        self.is_stale, self.written = True, float("-inf")
        self.choices = _choices(plan)
        self.earlier: dict[str, FrozenTrial] | None = None

    def tell(self, run: str, state: RunState) -> None:  # noqa: ARG002
        """A run is done or failed."""
        self.is_stale = True

    def update(self, states: Mapping[str, RunState]) -> None:
        """Write the journal where a run has ended since, at most once a minute."""
        if self.is_stale and time.monotonic() - self.written > WRITE_SECONDS:
            self.write(states)

    def reload(self) -> None:
        """Do nothing: no state is kept in memory."""

    def write(self, states: Mapping[str, RunState]) -> None:
        """Write the journal of these states of the plan's runs."""
        if self.earlier is None:
            self.earlier = dict(self._earlier_trials())
        write_journal(self.path, self.plan.folder, [*self._trials(states), *self.earlier.values()], {})
        self.is_stale, self.written = False, time.monotonic()

    def _trials(self, states: Mapping[str, RunState]) -> Iterator[FrozenTrial]:
        for run in self.plan.runs.values():
            state = states.get(run.id)
            if state is None or state.name not in ("done", "failed"):
                continue
            yield self._trial(run.id, run.label, run.values, score(state.summary))

    def _earlier_trials(self) -> Iterator[tuple[str, FrozenTrial]]:
        for run, label in self.registry.earlier(self.plan).items():
            result = self.registry.result(run)
            if result is not None:
                yield run, self._trial(run, label, result["config"], score(summarize(result)))

    def _trial(self, run: str, label: str, config: Mapping[str, Any], value: float | None) -> FrozenTrial:
        """COMPLETE with a value, FAIL without."""
        params = {key: config[key] for key, axis in self.choices.items() if config.get(key) in axis.choices}
        distributions: dict[str, BaseDistribution] = {key: self.choices[key] for key in params}
        return create_trial(
            state=TrialState.FAIL if value is None else TrialState.COMPLETE, value=value, params=params,
            distributions=distributions, user_attrs={"run": run, "seed": config["seed"], "point": label},
        )  # fmt: skip


def _choices(plan: Plan) -> dict[str, CategoricalDistribution]:
    axes = {key for table in plan.tables for point in table.points for key in (*table.axes, *point.set)}
    values: dict[str, dict[Any, None]] = {key: {} for key in sorted(axes)}
    for settings in {id(run.settings): run.settings for run in plan.runs.values()}.values():
        flat = flatten(settings)
        for key, seen in values.items():
            seen[flat[key]] = None
    return {key: CategoricalDistribution(sorted(seen)) for key, seen in values.items()}
