"""The sweep as an Optuna study: one trial a run, told by the controller alone, rebuilt from the run folders at will."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from simvtp.config.schema import flatten
from sweeps.plan import Plan, cut
from sweeps.state.run_states import State, outcome, score
from sweeps.study.journal import TrialJournal, mend

COMPLETE, FAILED = -1, -2  # in place of the trial of a run: how its last one ended
_ENDS = {TrialState.COMPLETE: COMPLETE, TrialState.FAIL: FAILED}
AT_ONCE = 256  # trials that one write begins


class Study:
    """Objective: validation text-to-video R@1, to be maximised. The test figures stand beside, as attributes.

    trials: run -> Optuna's id of its trial under way, COMPLETE or FAILED: all that is kept of it here.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan, self.path = plan, (folder / "study.journal").resolve()
        self.journal = TrialJournal(self.path, plan.folder, self._distributions)
        self.trials: dict[str, int] = {}
        self.renew()

    def renew(self) -> None:
        """Read the journal anew: at the start, and after a write that a full disk cut.

        One that cannot serve is set aside; the run folders fill a new one.
        """
        # The caller holds the sweep's lock, so this is of someone who was killed; Optuna would wait 30 s for it.
        self.path.with_name(self.path.name + ".lock").unlink(missing_ok=True)
        mend(self.path)
        try:
            self._read()
        except (KeyError, TypeError, ValueError) as error:  # what nonsense leads to
            aside = self.path.with_suffix(".journal.old")
            self.path.replace(aside)
            why = f"{type(error).__name__}: {error}"
            print(f"{self.path}: it does not serve ({why}); it is now {aside.name}, and the run folders fill a new one",
                  file=sys.stderr)  # fmt: skip
            self._read()
        self.journal.begin()

    def _read(self) -> None:
        self.trials, runs = {}, dict[int, str]()
        for told in self.journal.read():
            if told.run is not None:
                known = self.plan.runs.get(told.run)
                runs[told.trial] = known.id if known else told.run  # the plan's own text: one, not two
            elif told.trial not in runs or self.trials[runs[told.trial]] != told.trial:
                continue  # of another study, or of a trial that is over
            run = runs[told.trial]
            self.trials[run] = told.trial if told.state == TrialState.RUNNING else _ENDS[told.state]

    def begin(self, *runs: str) -> None:
        """A trial for each run, unless it has one that has not failed."""
        new = [run for run in runs if self.trials.get(run, FAILED) == FAILED]
        for part in cut(new, AT_ONCE):
            first = self.journal.add([self._trial(run) for run in part])
            self.trials |= {run: first + number for number, run in enumerate(part)}

    def tell(self, run: str, state: State) -> None:
        """Complete or fail the run's trial, once."""
        if state.name not in ("done", "failed"):
            return
        value, before = score(state.outcome), self.trials.get(run)
        if before == COMPLETE or (before == FAILED and state.name == "failed"):
            return  # told before, perhaps by an earlier call
        if value is not None and before in (None, FAILED):
            self.journal.add([self._trial(run, value)])
        else:
            self.begin(run)
            self.journal.end(self.trials[run], value)
        self.trials[run] = FAILED if value is None else COMPLETE

    def restore(self, run: str, label: str, result: Mapping[str, Any]) -> None:
        """The complete trial of a run of an earlier call, which a lost journal had; nothing where it is there."""
        value, config = score(outcome(result)), result["config"]
        possible = all(config.get(key) in choice.choices for key, choice in self._distributions.items())
        if self.trials.get(run, FAILED) == FAILED and value is not None and possible:
            self.journal.add([self.journal.trial(run, label, config, value)])
            self.trials[run] = COMPLETE

    def _trial(self, run: str, value: float | None = None) -> dict[str, Any]:
        found = self.plan.runs[run]
        return self.journal.trial(run, found.label, found.values, value)

    def _axes(self) -> list[str]:
        return sorted(
            {key for table in self.plan.tables for point in table.points for key in (*table.axes, *point.set)}
        )

    @cached_property
    def _distributions(self) -> dict[str, CategoricalDistribution]:
        values: dict[str, dict[Any, None]] = {key: {} for key in self._axes()}
        for settings in {id(run.settings): run.settings for run in self.plan.runs.values()}.values():
            flat = flatten(settings)
            for key, seen in values.items():
                seen[flat[key]] = None
        return {key: CategoricalDistribution(sorted(seen)) for key, seen in values.items()}
