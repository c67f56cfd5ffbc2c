"""The trials of a search, with asynchronous successive halving (ASHA).

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", as in Optuna's SuccessiveHalvingPruner: a trial
is compared once, at the end of a rung, with the trials that completed the rung before it; no trial waits for others.
Unlike Optuna's, the decision depends on the values only, so it can be repeated after a kill.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from simvtp.errors import ConfigError
from simvtp.runtime.files import read_json
from sweeps.plan import Run
from sweeps.search.space import Space, draw
from sweeps.state.run_states import RunState, score
from sweeps.study.journal_file import name_objectives
from sweeps.study.storage import NONSENSE, Copy, Database, Journal, copy_to_journal

log = logging.getLogger(__name__)


def is_promoted(values: Sequence[float], others: Sequence[Sequence[float]], keep: Fraction) -> bool:
    """Whether a trial is among the best share `keep` of itself and the others; the first at a rung always is.

    values: of the trial, one for each objective, higher is better. others: of the trials that were there before.
    A trial ranks behind all others that are at least as good in every objective, so of equal trials the earlier rank
    first (they are common: R@1 of a small gallery takes few values).
    """
    kept = max(1, int((len(others) + 1) * keep))
    behind = sum(all(theirs >= own for theirs, own in zip(other, values, strict=True)) for other in others)
    return behind < kept


BASE = "base"
INFEASIBLE = "infeasible"  # attribute of a trial: the constraints that its point violates
DRAWS = 100  # at most so many points are drawn to find one that fulfils the constraints


@dataclass
class Trial:
    """One point of the search.

    number: in the study. params: its values by field. rungs: the runs of each rung; empty if the point violates a
    constraint and is not trained. passed: rungs completed with a promotion. scores: R@1 at each completed rung.
    retry_of: number of the failed trial that this one repeats. costs: measures to minimise.
    """

    number: int
    state: TrialState
    params: dict[str, Any]
    rungs: list[list[Run]]
    passed: int
    scores: list[float] = field(default_factory=list)
    retry_of: int | None = None
    costs: tuple[float, ...] = ()

    @property
    def current_runs(self) -> list[Run]:
        """The runs of the current rung; none if the trial is over."""
        return self.rungs[self.passed] if self.state == TrialState.RUNNING else []


class Trials:
    """The study: maximises validation text-to-video R@1, averaged over the seeds, and minimises the costs.

    space: the search space. folder: of the study, with search.json. backend: where the study is stored.
    """

    def __init__(self, space: Space, folder: Path, backend: Database | Journal | Copy) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space, self.folder, self.backend = space, folder, backend
        self.outcomes: dict[str, float | None] = {}  # run -> its R@1; None: failed
        self.reload()

    def reload(self) -> None:
        """Read the study: at the start, and again after a failed write. Raises ConfigError."""
        try:
            self._load()
        except ConfigError:
            raise
        except NONSENSE as error:
            why = f"{type(error).__name__}: {error}"
            if not isinstance(self.backend, Journal):
                raise ConfigError(
                    f"the study {self.folder.name} is not of this search, or of other code ({why}); name another "
                    "--storage or --results"
                ) from error
            self.backend.set_aside(why)
            self._load()
        self._recover()

    def _load(self) -> None:
        self.storage = self.backend.open()
        names, directions = zip(*self.space.objectives.items(), strict=True)
        self.study = optuna.create_study(
            study_name=self.folder.name, storage=self.storage, directions=directions, load_if_exists=True
        )
        if [direction.name.lower() for direction in self.study.directions] != list(directions):
            raise ValueError(f"its objectives are {len(self.study.directions)}, those of the search {len(directions)}")
        if self.study.metric_names is None and not isinstance(self.backend, Copy):
            name_objectives(self.study, names)
        self._check_owner()
        self.trials = [self._trial(stored) for stored in self.study.get_trials(deepcopy=False)]

    def _check_owner(self) -> None:
        """Raise ConfigError if the study in a shared database belongs to another results folder, which has its runs."""
        if not isinstance(self.backend, Database):
            return
        here = str(self.folder.resolve().parent.parent)
        owner = self.study.user_attrs.get("results")
        if owner is None:
            self.study.set_user_attr("results", here)
        elif owner != here:
            raise ConfigError(
                f"--storage {self.backend}: its study {self.folder.name} is of the results folder {owner}; use that "
                "folder, or another database"
            )

    def _trial(self, stored: FrozenTrial) -> Trial:
        """A trial of the study; raises ValueError if it belongs to another search, or to code that gives other ids."""
        if INFEASIBLE in stored.user_attrs:
            return Trial(stored.number, stored.state, dict(stored.params), [], 0)
        rungs = self._rungs(stored.number, stored.params)
        ids = [[run.id for run in rung] for rung in rungs]
        if stored.user_attrs["runs"] != ids:
            raise ValueError(f"the runs of trial {stored.number} have other ids now")
        scores = [stored.intermediate_values[step] for step in sorted(stored.intermediate_values)]
        return Trial(stored.number, stored.state, dict(stored.params), rungs, int(stored.user_attrs.get("passed", 0)),
                     scores, stored.user_attrs.get("retry_of"), self.space.costs(stored.params))  # fmt: skip

    def _rungs(self, number: int, params: Mapping[str, Any]) -> list[list[Run]]:
        name = f"trial {number}" if number or params != self.space.base_params() else f"trial 0 ({BASE})"
        shares = self.space.search.shares
        return [self.space.runs(params, share, name + (f", {share}" if share != 1 else "")) for share in shares]

    def _recover(self) -> None:
        """Add points that search.json lists and the study has lost, in their order."""
        path = self.folder / "search.json"
        try:
            points = list(read_json(path)["trials"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):
            log.warning(f"{path} is damaged; it is written anew")
            return
        known = self.points()
        try:
            for params in points[len(known) :] if points[: len(known)] == known else ():
                self._add(params)
        except (TypeError, ValueError) as error:  # for what is no point of the space
            log.warning(f"{path} lists what is no point of this search ({error}); its other points are left out")

    @property
    def chosen(self) -> int:
        """Number of points so far; a repeated failed trial is the same point."""
        return len(self.points())

    def points(self) -> list[dict[str, Any]]:
        return [trial.params for trial in self.trials if trial.retry_of is None and trial.rungs]

    def running(self) -> Iterator[Trial]:
        return (trial for trial in self.trials if trial.state == TrialState.RUNNING)

    def ask(self) -> Trial:
        """Add a point: the base first, then points of the sampler, which takes running trials for bad (constant liar).

        The sampler's seed depends on the number of trials, so a killed search continues with the points that it would
        have drawn. Points that violate a constraint are recorded, so that the sampler learns from them, but not
        trained. Raises ConfigError if no drawn point fulfils the constraints.
        """
        base = self.space.base_params()
        if not self.trials and base is not None and is_feasible(self.space.violations(base)):
            return self._add(base)
        for _ in range(DRAWS):
            params = draw(self.study, self.space, seed=1000 * self.space.seeds[0] + len(self.trials))
            violations = self.space.violations(params)
            if is_feasible(violations):
                return self._add(params)
            self._add_infeasible(params, violations)
        broken = ", ".join(key for key, by in violations.items() if by > 0)
        raise ConfigError(f"{self.folder.name}: none of {DRAWS} points fulfils the constraints ({broken}); widen them")

    def _add_infeasible(self, params: Mapping[str, Any], violations: Mapping[str, float]) -> None:
        self.study.add_trial(create_trial(
            state=TrialState.PRUNED, params=dict(params), distributions=dict(self.space.ranges),
            constraints=dict(violations), user_attrs={INFEASIBLE: [key for key, by in violations.items() if by > 0]},
        ))  # fmt: skip
        self.trials.append(Trial(len(self.trials), TrialState.PRUNED, dict(params), [], 0))

    def _add(self, params: Mapping[str, Any], retry_of: int | None = None) -> Trial:
        number = len(self.trials)
        rungs = self._rungs(number, params)
        attributes: dict[str, Any] = {
            "run": rungs[-1][0].id, "runs": [[run.id for run in rung] for rung in rungs],
            "seed": self.space.seeds[0], "point": rungs[-1][0].label,
        }  # fmt: skip
        if retry_of is not None:
            attributes["retry_of"] = retry_of
        self.study.add_trial(create_trial(
            state=TrialState.RUNNING, params=dict(params), distributions=dict(self.space.ranges), user_attrs=attributes,
            constraints=self.space.violations(params),
        ))  # fmt: skip
        costs = self.space.costs(params)
        self.trials.append(Trial(number, TrialState.RUNNING, dict(params), rungs, 0, [], retry_of, costs))
        return self.trials[-1]

    def retry(self, trial: Trial) -> None:
        """Repeat a failed trial as a new trial of the same point."""
        for rung in trial.rungs:
            for run in rung:
                self.outcomes.pop(run.id, None)
        self._add(trial.params, trial.number if trial.retry_of is None else trial.retry_of)

    def failed(self) -> list[Trial]:
        """Failed trials whose point was not tried again."""
        last = {trial.number if trial.retry_of is None else trial.retry_of: trial for trial in self.trials}
        return [trial for trial in last.values() if trial.state == TrialState.FAIL]

    def update(self, states: Mapping[str, RunState]) -> None:
        """Do nothing: every change is written when it is made."""

    def tell(self, run: str, state: RunState) -> None:
        """Record the R@1 of a run that is over; `settle` then promotes or prunes its trial."""
        if state.name in ("done", "failed"):
            self.outcomes[run] = score(state.summary)

    def settle(self) -> bool:
        """Promote, prune or end the trials whose current runs are over; whether there was one."""
        ready = [trial for trial in self.running() if all(run.id in self.outcomes for run in trial.current_runs)]
        for trial in ready:
            values = [self.outcomes[run.id] for run in trial.current_runs]
            numbers = [value for value in values if value is not None]
            if len(numbers) < len(values):
                self._end(trial, TrialState.FAIL)
            else:
                self._judge(trial, sum(numbers) / len(numbers))
        return bool(ready)

    def _judge(self, trial: Trial, value: float) -> None:
        """Complete, prune or promote a trial. After a kill between two writes the same decision is made again."""
        rung, shares = trial.passed, self.space.search.shares
        if rung == len(shares) - 1:
            self._end(trial, TrialState.COMPLETE, value)
            return
        others = [_ranked(one, rung) for one in self.trials if one is not trial and len(one.scores) > rung]
        if len(trial.scores) == rung:
            self.storage.set_trial_intermediate_value(self._key(trial), rung, value)
            trial.scores.append(value)
        if not is_promoted(_ranked(trial, rung), others, keep=shares[rung] / shares[rung + 1]):
            self._end(trial, TrialState.PRUNED)
            return
        self.storage.set_trial_user_attr(self._key(trial), "passed", rung + 1)
        trial.passed = rung + 1

    def _key(self, trial: Trial) -> int:
        study = self.storage.get_study_id_from_name(self.study.study_name)
        return self.storage.get_trial_id_from_study_id_trial_number(study, trial.number)

    def _end(self, trial: Trial, state: TrialState, value: float | None = None) -> None:
        if value is not None and len(trial.scores) == trial.passed:
            self.storage.set_trial_intermediate_value(self._key(trial), trial.passed, value)
            trial.scores.append(value)
        values = None if value is None else [value, *trial.costs]
        self.study.tell(trial.number, values, state=state if values is None else None, skip_if_finished=True)
        trial.state = state

    def best(self) -> Trial | None:
        """The complete trial with the highest R@1, the earliest of equals; None if none is complete."""
        done = [trial for trial in self.trials if trial.state == TrialState.COMPLETE]
        return max(done, key=lambda trial: (trial.scores[-1], -trial.number), default=None)

    def front(self) -> list[Trial]:
        """The complete trials on the Pareto front of the objectives, by falling R@1."""
        numbers = {trial.number for trial in self.study.best_trials}
        return sorted((self.trials[number] for number in numbers), key=lambda trial: -trial.scores[-1])

    def close(self) -> None:
        """With a database, write a copy as a journal, which analysis reads."""
        if isinstance(self.backend, Database):
            copy_to_journal(self.study, self.folder / "study.journal")


def _ranked(trial: Trial, rung: int) -> tuple[float, ...]:
    """Values of its objectives at a rung, higher is better."""
    return trial.scores[rung], *(-cost for cost in trial.costs)


def is_feasible(violations: Mapping[str, float]) -> bool:
    """Whether a point fulfils all constraints."""
    return all(by <= 0 for by in violations.values())
