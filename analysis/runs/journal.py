"""The journal of a search, as Optuna writes it: its trials. Importing this takes half a second, for Optuna."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from analysis.runs.schema import Unreadable

SCORE = "validation R@1, text-to-video (%)"  # the first objective of every search
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
            memory = optuna.create_study(study_name=study_name, directions=stored.directions)
            _name_objectives(memory, stored.metric_names)
            memory.add_trials(stored.get_trials())
        except _DAMAGE as problem:  # Optuna reads any JSON and fails where a field is not what it wrote
            why = f"{type(problem).__name__}: {problem}"
            raise Unreadable(f"{name} is not the journal of one study ({why})") from problem
    return memory


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Complete trials, best first by the first objective."""
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(done, key=lambda trial: (sign * value_of(trial), trial.number))


def value_of(trial: FrozenTrial) -> float:
    """The first objective of a complete trial, validation R@1."""
    if trial.values is None:
        raise ValueError(f"trial {trial.number} is not complete")
    return trial.values[0]


def objectives(study: optuna.Study) -> list[str]:
    """What its objectives are called, with their units; validation R@1 alone where the journal does not say."""
    return list(study.metric_names or [SCORE])


def _name_objectives(study: optuna.Study, names: list[str] | None) -> None:
    if names and names != ["R@1"]:  # a sweep's own study is not drawn
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(names)


def settings(trial: FrozenTrial) -> str:
    """Such as 'mask.video 0.85, pretrain.lr 0.0031'."""
    return ", ".join(f"{key} {_short(value)}" for key, value in trial.params.items())


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
