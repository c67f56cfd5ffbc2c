"""The journal of a sweep's study, in Optuna's format, read and written a line at a time.

Optuna holds every trial of a journal in memory, each with all the values that its axes may have: for ten thousand runs
that is more than all else that a controller knows. Here nothing is held. What is written is what JournalStorage of
Optuna 5 writes for the same calls, so `optuna.load_study` and Optuna Dashboard open it. A trial is whole by one line:
what a kill or a full disk tears is a last line, which `mend` cuts off.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution, distribution_to_json
from optuna.study import StudyDirection
from optuna.trial import TrialState

# Optuna's numbers of what makes a study, makes a trial and changes its state, and of what only describes them.
STUDY, TRIAL, STATE = 0, 4, 6
_BESIDE = (2, 3, 5, 7, 8, 9, 10)  # such as a note that somebody wrote in Optuna Dashboard


@dataclass(frozen=True, slots=True)
class Told:
    """What a line tells of a trial. trial: Optuna's id of it; run: None where the line is of a trial that was there."""

    trial: int
    state: TrialState
    run: str | None


class TrialJournal:
    """One study in one file, which only the holder of the sweep's lock writes to."""

    def __init__(self, path: Path, name: str, axes: Mapping[str, CategoricalDistribution]) -> None:
        self.path, self.name, self.axes = path, name, axes
        self._shown = {key: distribution_to_json(axis) for key, axis in axes.items()}
        self._writer = f"{uuid.uuid4()}-0"
        self._study: int | None = None  # Optuna's id of it
        self._studies = self._trials = 0  # in the file, those of others too

    def read(self) -> Iterator[Told]:
        """Lines of the trials, oldest first; raises ValueError, KeyError or TypeError where they serve no sweep."""
        self._study, self._studies, self._trials = None, 0, 0
        for line in _lines(self.path):
            told = self._told(json.loads(line))
            if told is not None:
                yield told

    def _told(self, line: Mapping[str, Any]) -> Told | None:
        operation = line["op_code"]
        if operation == STUDY:
            if line["study_name"] == self.name:
                self._study = self._studies if self._study is None else self._study
            self._studies += 1
        elif operation == TRIAL:
            self._trials += line["study_id"] < self._studies  # Optuna counts no trial of a study that is not there
            if line["study_id"] == self._study:
                if line["distributions"] != self._shown:
                    raise ValueError("it is of other values or another version of this sweep")
                return Told(self._trials - 1, TrialState(line["state"]), str(line["user_attrs"]["run"]))
        elif operation == STATE:
            return Told(int(line["trial_id"]), TrialState(line["state"]), None)
        elif operation not in _BESIDE:
            raise ValueError(f"it has an operation that no sweep writes ({operation})")
        return None

    def begin(self) -> None:
        """Make the study where it is not there."""
        if self._study is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            direction = StudyDirection.MAXIMIZE.value
            self._write([{"op_code": STUDY, "study_name": self.name, "directions": [direction]}])
            self._study, self._studies = self._studies, self._studies + 1

    def add(self, trials: Sequence[Mapping[str, Any]]) -> int:
        """Write trials that `trial` gave; gives the id of the first."""
        first = self._trials
        self._write(trials)
        self._trials += len(trials)
        return first

    def trial(self, run: str, label: str, config: Mapping[str, Any], value: float | None) -> dict[str, Any]:
        """A trial of a flat config, as its line has it: RUNNING where there is no value, else COMPLETE."""
        now = _now()
        state = TrialState.RUNNING if value is None else TrialState.COMPLETE
        return {
            "op_code": TRIAL, "study_id": self._study, "datetime_start": now, "state": state.value, "value": value,
            "values": None, **({} if value is None else {"datetime_complete": now}), "distributions": self._shown,
            "params": {key: axis.to_internal_repr(config[key]) for key, axis in self.axes.items()},
            "user_attrs": {"run": run, "seed": config["seed"], "point": label},
            "system_attrs": {}, "intermediate_values": {},
        }  # fmt: skip

    def end(self, trial: int, value: float | None) -> None:
        """A trial that was RUNNING is COMPLETE; FAIL, where there is no value."""
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        values = None if value is None else [value]
        self._write([{"op_code": STATE, "trial_id": trial, "state": state.value, "values": values,
                      "datetime_complete": _now()}])  # fmt: skip

    def _write(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Append. Not forced to the disk: what a crash of the machine takes, the run folders tell again."""
        lines = [json.dumps({"worker_id": self._writer, **entry}, separators=(",", ":")) + "\n" for entry in entries]
        with self.path.open("ab") as file:
            file.write("".join(lines).encode())


def mend(path: Path) -> None:
    """Cut a journal at the first line that a kill or a full disk tore; the run folders fill in what is lost."""
    good = 0
    for line in _lines(path):
        try:
            json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n"):
            break
        good += len(line)
    size = path.stat().st_size if path.exists() else 0
    if good < size:
        shutil.copyfile(path, path.with_suffix(".journal.torn"))
        os.truncate(path, good)
        print(f"{path}: cut {size - good} torn bytes; the run folders hold the rest", file=sys.stderr)


def _lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            yield from file


def _now() -> str:
    return datetime.now(tz=UTC).isoformat(timespec="microseconds")
