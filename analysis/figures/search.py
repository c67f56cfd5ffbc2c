"""A search: its Optuna journal -> the history of its trials, and which settings mattered."""

from __future__ import annotations

import itertools
import math
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import optuna
from matplotlib.figure import Figure
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from analysis.figures import style, tooltips
from analysis.figures.panels import wrap
from analysis.runs.schema import Unreadable

_VALUE = "validation R@1, text-to-video (%)"  # the objective of every study
FEWEST = 8  # trials from which importance is estimated
TELLING = 3  # best trials, below which the title calls it a hint
_STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


def read(path: Path) -> optuna.Study:
    """The study of a journal, of its whole lines: it may be written to at this moment. Raises Unreadable."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(whole)
        try:
            storage = JournalStorage(JournalFileBackend(str(copy)))
            (name,) = optuna.get_all_study_names(storage)
            found = optuna.load_study(study_name=name, storage=storage)
            found.get_trials()
        except (KeyError, TypeError, ValueError, AssertionError, IndexError) as problem:  # Optuna's, on nonsense
            why = f"{type(problem).__name__}: {problem}"
            raise Unreadable(f"{path.parent.name}/{path.name} is not the journal of one study ({why})") from problem
        memory = optuna.create_study(study_name=name, direction=found.direction)
        memory.add_trials(found.get_trials())
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


def history(study: optuna.Study, name: str) -> Figure:
    """Every trial in the order of its start, the best so far; pruned ones where they stopped, failed at the foot."""
    trials = study.get_trials(deepcopy=False)
    done = sorted(finished(study), key=lambda trial: trial.number)
    figure, panel = plt.subplots(figsize=(style.WIDTH, 3.4), layout="constrained")
    values = [value_of(trial) for trial in done]
    panel.plot([t.number for t in done], values, "o", color=style.BLUE, markersize=4, label="trial",
               markerfacecolor="none")  # fmt: skip
    better = max if study.direction == optuna.study.StudyDirection.MAXIMIZE else min
    best = list(itertools.accumulate(values, better))
    for trial, value in zip(done, values, strict=True):
        tooltips.mark(panel, trial.number, value, f"trial {trial.number}: {value:.1f}; {settings(trial)}")
    if best:
        numbers = [*(t.number for t in done), trials[-1].number]
        panel.step(numbers, [*best, best[-1]], where="post", color=style.RED, label="best so far")
    for state, marker in ((TrialState.PRUNED, "_"), (TrialState.FAIL, "x")):
        others = [t for t in trials if t.state == state]
        if others:
            heights = [_reached(trial) for trial in others]
            panel.plot([t.number for t in others], heights, marker, color=style.BLACK, label=_STATES[state],
                       clip_on=False)  # fmt: skip
    panel.set_xlabel("trial")
    panel.set_ylabel(_VALUE)
    panel.set_ylim(bottom=0)
    top = finished(study)
    found = f"best {top[0].value:.1f} at trial {top[0].number}" if top else "no trial has finished"
    panel.set_title(wrap(f"{name}, {len(done)} of {len(trials)} trials finished: {found}", 84), loc="left")
    figure.legend(loc="outside upper right", ncols=4)  # inside, it would lie on the marks of late trials
    note = (
        "The best of many trials on a validation set is too high by luck: judge it by its test figures over new seeds."
    )
    style.footnote(figure, wrap(note, 140))
    return figure


def _reached(trial: FrozenTrial) -> float:
    """What a trial without value had when it was stopped; 0 where nothing is known of it."""
    return trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else 0.0


def importance(study: optuna.Study, name: str) -> Figure | None:
    """Bars of Optuna's own estimate (PED-ANOVA); None where there are too few trials or nothing varies."""
    done = finished(study)
    varied = sorted({key for trial in done for key in trial.params if len({str(t.params.get(key)) for t in done}) > 1})
    if len(done) < FEWEST or not varied:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        found = optuna.importance.get_param_importances(study, params=varied if _in_all(done, varied) else None)
    names = sorted(found, key=lambda key: found[key])
    figure, panel = plt.subplots(figsize=(style.WIDTH, 1.3 + 0.3 * len(names)), layout="constrained")
    panel.barh(names, [100 * found[key] for key in names], color=style.BLUE, height=0.6)
    for place, key in enumerate(names):
        panel.annotate(f"{100 * found[key]:.0f}%", (100 * found[key], place), (3, 0), textcoords="offset points",
                       va="center", fontsize=7.5)  # fmt: skip
        tooltips.mark(panel, 100 * found[key], place, f"{key}: {100 * found[key]:.1f}% of the importance")
    panel.grid(visible=False, axis="y")
    panel.set_xlim(0, 112 * max(found.values(), default=1) or 1)
    panel.set_xlabel("share of the importance (%)")
    count = len(done)
    best = math.ceil(count / 10)
    hint = f"stands first, by {count} trials: a hint"
    told = "mattered most to reach the best trials" if best >= TELLING else hint
    panel.set_title(wrap(f"{name}: {names[-1]} {told}", 84), loc="left")
    note = (f"PED-ANOVA over {count} finished trials (Watanabe, Bansal and Hutter 2023, as in Optuna): which tell the "
            f"best tenth, here {best}, from the rest. An estimate of one search, without interval.")  # fmt: skip
    style.footnote(figure, wrap(note, 140))
    return figure


def _in_all(trials: list[FrozenTrial], keys: list[str]) -> bool:
    return all(key in trial.params for trial in trials for key in keys)
