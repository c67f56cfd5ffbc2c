"""Figures of a search: the history of its trials, and the importance of its settings."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable

import matplotlib.pyplot as plt
import optuna
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from analysis.figures import legends, style, tooltips
from analysis.figures.style import wrap
from analysis.runs.journal import SCORE, finished, settings, value_of

FEWEST = 8  # trials from which importance is estimated
TELLING = 3  # best trials, below which the title calls it a hint
_STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


def history(study: optuna.Study, name: str) -> Figure:
    """Every trial in the order of its start, the best so far; pruned ones where they stopped, failed at the foot."""
    trials = study.get_trials(deepcopy=False)
    done = sorted(finished(study), key=lambda trial: trial.number)
    figure, panel = plt.subplots(figsize=style.look().size(3.4), layout="constrained")
    values = [value_of(trial) for trial in done]
    panel.plot([t.number for t in done], values, "o", color=style.BLUE, markersize=4, label="trial",
               markerfacecolor="none")  # fmt: skip
    better = max if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else min
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
    panel.set_ylabel(SCORE)
    panel.set_ylim(bottom=0)
    top = finished(study)
    finding = f"best {value_of(top[0]):.1f} at trial {top[0].number}" if top else "no trial has finished"
    title = style.caption(figure, f"{name}, {len(done)} of {len(trials)} trials finished", finding)
    panel.set_title(wrap(title, 0.9), loc="left")
    # inside, it would lie on the marks of late trials
    legends.draw(figure, legends.handles_of([panel]), "upper right")
    note = (
        "The best of many trials on a validation set is too high by luck: judge it by its test figures over new seeds."
    )
    style.footnote(figure, note)
    return figure


def _reached(trial: FrozenTrial) -> float:
    """What a trial without value had when it was stopped; 0 if nothing is known of it."""
    return trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else 0.0


def importance(study: optuna.Study, name: str) -> Figure | None:
    """Bars of Optuna's own estimate (PED-ANOVA); None if there are too few trials or nothing varies."""
    done = finished(study)
    varied = sorted({key for trial in done for key in trial.params if len({str(t.params.get(key)) for t in done}) > 1})
    if len(done) < FEWEST or not varied:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental; a target is taken to be minimised, which it is here
        params = varied if _in_all(done, varied) else None
        shares = optuna.importance.get_param_importances(study, params=params, target=_target(study))
    names = sorted(shares, key=lambda key: shares[key])
    figure, panel = plt.subplots(figsize=style.look().size(1.3 + 0.3 * len(names)), layout="constrained")
    panel.barh(names, [100 * shares[key] for key in names], color=style.BLUE, height=0.6)
    for position, key in enumerate(names):
        panel.annotate(f"{100 * shares[key]:.0f}%", (100 * shares[key], position), (3, 0), textcoords="offset points",
                       va="center", fontsize=style.small())  # fmt: skip
        tooltips.mark(panel, 100 * shares[key], position, f"{key}: {100 * shares[key]:.1f}% of the importance")
    panel.grid(visible=False, axis="y")
    panel.set_xlim(0, 112 * max(shares.values(), default=1) or 1)
    panel.set_xlabel("share of the importance (%)")
    count = len(done)
    best = math.ceil(count / 10)
    hint = f"stands first, by {count} trials: a hint"
    words = "mattered most to reach the best trials" if best >= TELLING else hint
    title = style.caption(figure, f"{name}, importance of settings", f"{names[-1]} {words}")
    panel.set_title(wrap(title, 0.9), loc="left")
    note = (f"PED-ANOVA over {count} finished trials (Watanabe, Bansal and Hutter 2023, as in Optuna): which tell the "
            f"best tenth, here {best}, from the rest. An estimate of one search, without interval.")  # fmt: skip
    style.footnote(figure, note)
    return figure


def _target(study: optuna.Study) -> Callable[[FrozenTrial], float] | None:
    """What importance is of: R@1. Of several objectives one must be named, and Optuna then takes less for better."""
    return None if len(study.directions) == 1 else lambda trial: -value_of(trial)


def _in_all(trials: list[FrozenTrial], keys: list[str]) -> bool:
    return all(key in trial.params for trial in trials for key in keys)
