"""The journal of a search, as Optuna writes it: its trials. Importing this takes half a second, for Optuna."""

from __future__ import annotations

import tempfile
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from analysis.runs.schema import Unreadable

_DAMAGE = (KeyError, TypeError, ValueError, AssertionError, IndexError, AttributeError, OverflowError, RuntimeError,
           RecursionError, optuna.exceptions.OptunaError)  # fmt: skip


def read(path: Path) -> optuna.Study:
    """The study of a journal, in memory; of its whole lines only, since it may be written to at this moment.

    Raises Unreadable, which names the file, where it is not the journal of one study.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise Unreadable(f"{name} cannot be read ({problem.strerror})") from problem
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(content[: content.rfind(b"\n") + 1])
        try:
            storage = JournalStorage(JournalFileBackend(str(copy)))
            (study_name,) = optuna.get_all_study_names(storage)
            stored = optuna.load_study(study_name=study_name, storage=storage)
            memory = optuna.create_study(study_name=study_name, direction=stored.direction)
            memory.add_trials(stored.get_trials())
        except _DAMAGE as problem:  # Optuna reads any JSON and fails where a field is not what it wrote
            why = f"{type(problem).__name__}: {problem}"
            raise Unreadable(f"{name} is not the journal of one study ({why})") from problem
    return memory


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Complete trials, best first."""
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(done, key=lambda trial: (sign * value_of(trial), trial.number))


def value_of(trial: FrozenTrial) -> float:
    """The objective of a complete trial."""
    if trial.value is None:
        raise ValueError(f"trial {trial.number} is not complete")
    return trial.value


def settings(trial: FrozenTrial) -> str:
    """Such as 'mask.video 0.85, pretrain.lr 0.0031'."""
    return ", ".join(f"{key} {_short(value)}" for key, value in trial.params.items())


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
