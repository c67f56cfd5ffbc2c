"""The sweep as an Optuna study: one trial a run, told by the controller alone, rebuilt from the run folders at will."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState, create_trial

from simvtp.config import flatten
from sweeps.ledger import State
from sweeps.outcome import outcome, score
from sweeps.plan import Plan


class Study:
    """Objective: validation text-to-video R@1, to be maximised. The test figures stand beside, as attributes."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.plan, self.path = plan, (folder / "study.journal").resolve()
        self.renew()

    def renew(self) -> None:
        """Read the journal anew: at the start, and after a write that a full disk cut."""
        path = self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        # The caller holds the sweep's lock, so this is of a controller that was killed; Optuna would wait 30 s for it.
        path.with_name(path.name + ".lock").unlink(missing_ok=True)
        mend(path)
        self.study = self._open_or_renew(path)
        self.numbers: dict[str, int] = {}  # trials under way or complete
        self.told: set[str] = set()
        self.failed: set[str] = set()  # runs whose last trial failed, and that nobody tried again
        for trial in self.study.get_trials(deepcopy=False):
            run = trial.user_attrs["run"]
            if trial.state == TrialState.FAIL:
                self.failed.add(run)
                continue
            self.failed.discard(run)
            self.numbers[run] = trial.number
            if trial.state == TrialState.COMPLETE:
                self.told.add(run)

    def _open_or_renew(self, path: Path) -> optuna.Study:
        """The study in the journal; a new one, which the run folders fill, where the journal cannot serve."""
        try:
            found = _open(path, self.plan.folder)
            if all(self._serves(trial) for trial in found.get_trials(deepcopy=False)):
                return found
            why = "it is of other values or another version of this sweep"
        except (KeyError, TypeError, ValueError, AssertionError, IndexError) as error:  # what Optuna raises on nonsense
            why = f"it cannot be read ({type(error).__name__}: {error})"
        aside = path.with_suffix(".journal.old")
        path.replace(aside)
        print(f"{path}: {why}; it is now {aside.name}, and the run folders fill a new one", file=sys.stderr)
        return _open(path, self.plan.folder)

    def _serves(self, trial: FrozenTrial) -> bool:
        """Whether a trial is one that `_add` wrote: whole, and of the values that the sweep has now."""
        known = trial.state in (TrialState.RUNNING, TrialState.COMPLETE, TrialState.FAIL)
        return known and "run" in trial.user_attrs and trial.distributions == self._distributions

    def begin(self, *runs: str) -> None:
        """A trial for each run, unless it has one that has not failed."""
        new = [run for run in runs if run not in self.numbers]
        for run in new:
            self._add(run, self.plan.runs[run].label, flatten(self.plan.runs[run].config))
        if new:  # Optuna gives no number to who adds a trial: look once for all
            added = set(new)
            trials = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            self.numbers |= {t.user_attrs["run"]: t.number for t in trials if t.user_attrs["run"] in added}
            self.failed -= added

    def tell(self, run: str, state: State) -> None:
        """Complete or fail the run's trial, once."""
        if run in self.told or state.name not in ("done", "failed"):
            return
        if run in self.failed and state.name == "failed":
            return  # told by an earlier call
        value = score(state.outcome)
        if value is not None and run not in self.numbers:
            config = self.plan.runs[run]
            self._add(run, config.label, flatten(config.config), value)
            self.told.add(run)
            self.failed.discard(run)
            return
        self.begin(run)
        if value is None:
            self.study.tell(self.numbers.pop(run), state=TrialState.FAIL)
            self.failed.add(run)
            return
        self.study.tell(self.numbers[run], value, skip_if_finished=True)
        self.told.add(run)

    def restore(self, run: str, label: str, result: Mapping[str, Any]) -> None:
        """The complete trial of a run of an earlier call, which a lost journal had; nothing where it is there."""
        value, config = score(outcome(result)), result["config"]
        possible = all(config.get(key) in choice.choices for key, choice in self._distributions.items())
        if run not in self.numbers and value is not None and possible:
            self._add(run, label, config, value)
            self.told.add(run)

    def _add(self, run: str, label: str, config: Mapping[str, Any], value: float | None = None) -> None:
        """One trial by one line of the journal, so that no kill leaves half of it; RUNNING where there is no value.

        `enqueue_trial` with `ask` takes a line for each parameter: cut in between, the next `ask` gives the trial of
        one run to another.
        """
        self.study.add_trial(create_trial(
            state=TrialState.RUNNING if value is None else TrialState.COMPLETE, value=value,
            params={key: config[key] for key in self._distributions}, distributions=dict(self._distributions),
            user_attrs={"run": run, "seed": config["seed"], "point": label},
        ))  # fmt: skip

    def _axes(self) -> list[str]:
        return sorted(
            {key for table in self.plan.tables for point in table.points for key in (*table.axes, *point.set)}
        )

    @cached_property
    def _distributions(self) -> dict[str, CategoricalDistribution]:
        values: dict[str, dict[Any, None]] = {key: {} for key in self._axes()}
        for run in self.plan.runs.values():
            flat = flatten(run.config)
            for key, seen in values.items():
                seen[flat[key]] = None
        return {key: CategoricalDistribution(sorted(seen)) for key, seen in values.items()}


def _open(path: Path, name: str) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path))))
    return optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)


def mend(path: Path) -> None:
    """Cut a journal at the first line that a kill or a full disk tore; the run folders fill in what is lost."""
    if not path.exists():
        return
    good, content = 0, path.read_bytes()
    for line in content.splitlines(keepends=True):
        try:
            json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n"):
            break
        good += len(line)
    if good < len(content):
        path.with_suffix(".journal.torn").write_bytes(content)
        with path.open("r+b") as file:
            file.truncate(good)
        print(f"{path}: cut {len(content) - good} torn bytes; the run folders hold the rest", file=sys.stderr)
