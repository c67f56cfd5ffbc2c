"""The sweep as an Optuna study: one trial a run, told by the controller alone, rebuilt from the run folders at will."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from simvtp.config import flatten
from sweeps.ledger import State
from sweeps.plan import Plan


class Study:
    """Objective: validation text-to-video R@1, to be maximised. The test figures stand beside, as attributes."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.plan = plan
        path = (folder / "study.journal").resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        mend(path)
        self.study = _open(path, plan.folder)
        if self._outdated():
            # The sweep's file has other values now, which Optuna refuses in one study; the run folders fill a new one.
            path.replace(path.with_suffix(".journal.old"))
            self.study = _open(path, plan.folder)
        self.numbers: dict[str, int] = {}
        self.told: set[str] = set()
        for trial in self.study.get_trials(deepcopy=False):
            run = trial.user_attrs.get("run")
            if run is None or trial.state == TrialState.FAIL:
                continue
            self.numbers[run] = trial.number
            if trial.state == TrialState.COMPLETE:
                self.told.add(run)

    def _outdated(self) -> bool:
        now = self._distributions()
        trials = self.study.get_trials(deepcopy=False)
        return any(now.get(key) != value for trial in trials for key, value in trial.distributions.items())

    def begin(self, run: str) -> None:
        """A trial for the run, unless it has one that has not failed."""
        if run in self.numbers:
            return
        config, keys = flatten(self.plan.runs[run].config), self._axes()
        attributes = {"run": run, "seed": config["seed"], "point": self.plan.runs[run].label}
        self.study.enqueue_trial({key: config[key] for key in keys}, user_attrs=attributes)
        self.numbers[run] = self.study.ask(self._distributions()).number

    def tell(self, run: str, state: State) -> None:
        """Complete or fail the run's trial, once."""
        if run in self.told or state.name not in ("done", "failed"):
            return
        self.begin(run)
        value = _value(state.result)
        if value is None:
            self.study.tell(self.numbers.pop(run), state=TrialState.FAIL)
            return
        self.study.tell(self.numbers[run], value, skip_if_finished=True)
        self.told.add(run)

    def _axes(self) -> list[str]:
        return sorted(
            {key for table in self.plan.tables for point in table.points for key in (*table.axes, *point.set)}
        )

    def _distributions(self) -> dict[str, BaseDistribution]:
        values: dict[str, dict[Any, None]] = {key: {} for key in self._axes()}
        for run in self.plan.runs.values():
            flat = flatten(run.config)
            for key, seen in values.items():
                seen[flat[key]] = None
        return {key: CategoricalDistribution(sorted(seen)) for key, seen in values.items()}


def _open(path: Path, name: str) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path))))
    return optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)


def _value(result: Mapping[str, Any] | None) -> float | None:
    """Validation R@1; None where there is no result or it is no number."""
    if result is None:
        return None
    value = float(result["metrics"]["validation"]["text_to_video"]["R@1"])
    return value if math.isfinite(value) else None


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
