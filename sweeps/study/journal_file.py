"""Optuna journals as files: written from trials in one step, and repaired if a kill cut the last line."""

from __future__ import annotations

import json
import logging
import os
import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.trial import FrozenTrial

from simvtp.runtime.files import write_parts

log = logging.getLogger(__name__)


Direction = Literal["minimize", "maximize"]


class _Memory(BaseJournalBackend):
    """A journal in memory: 10,000 trials take 0.3 s there, and a lock and a forced write each in a file."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.logs.extend(logs)

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        return iter(self.logs[log_number_from:])


def name_objectives(study: optuna.Study, names: Sequence[str]) -> None:
    """Set the names of a study's objectives, one for each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(names))


def write_journal(
    path: Path, name: str, trials: Sequence[FrozenTrial], attributes: Mapping[str, Any],
    objectives: Mapping[str, Direction] = MappingProxyType({"R@1": "maximize"}),
) -> None:  # fmt: skip
    """Replace the journal at `path` by a study of these trials, in one step.

    name: of the study. attributes: its user attributes. objectives: name -> "maximize" or "minimize".
    """
    memory = _Memory()
    directions = list(objectives.values())
    study = optuna.create_study(study_name=name, storage=JournalStorage(memory), directions=directions)
    name_objectives(study, list(objectives))
    study.add_trials(trials)
    for key, value in attributes.items():
        study.set_user_attr(key, value)
    write_parts(path, (json.dumps(entry, separators=(",", ":")).encode() + b"\n" for entry in memory.logs))


def repair(path: Path) -> None:
    """Truncate a journal before the first line that a kill or a full disk cut."""
    if not path.exists():
        return
    good = 0
    with path.open("rb") as lines:
        for line in lines:
            try:
                json.loads(line)
            except (ValueError, RecursionError):
                break
            if not line.endswith(b"\n"):
                break
            good += len(line)
    size = path.stat().st_size
    if good < size:
        shutil.copyfile(path, path.with_suffix(".journal.torn"))
        os.truncate(path, good)
        log.warning(f"{path}: cut {size - good} torn bytes")
