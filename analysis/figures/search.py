"""Figures of a search: its trials in order, its settings with their importance, the Pareto front of its objectives."""

from __future__ import annotations

import itertools
import math
import textwrap
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from analysis.figures import legends, style, tooltips
from analysis.figures.labels import Name, place
from analysis.figures.style import wrap
from analysis.runs import journal
from analysis.runs.journal import SCORE, finished, objectives, value_of
from simvtp.config.schema import FIELDS

FEWEST = 8  # trials from which importance is estimated
FEWEST_SHOWN = 3  # trials from which their settings are drawn
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
        tooltips.mark(panel, trial.number, value, f"trial {trial.number}: {value:.1f}; {journal.settings(trial)}")
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
    legends.draw(figure, legends.handles_of([panel]), "outside upper right")
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


def varied_settings(trials: Sequence[FrozenTrial]) -> list[str]:
    """Config fields that vary among the trials, in the order of the schema; others behind them."""
    varied = {key for trial in trials for key in trial.params if len({str(t.params.get(key)) for t in trials}) > 1}
    return [key for key in (*FIELDS, *sorted(varied - set(FIELDS))) if key in varied]


def settings(study: optuna.Study, name: str) -> Figure | None:
    """Parallel coordinates (Inselberg 1985): an axis for each setting and for R@1, a line for each finished trial.

    The axes stand beside each other, or lie below each other where their words would not fit beside. A setting that
    some trial lacks has no axis. None if fewer than FEWEST_SHOWN trials are finished or nothing varies.
    """
    trials = finished(study)[::-1]  # the best ones on top
    keys = [key for key in varied_settings(trials) if all(key in trial.params for trial in trials)]
    if len(trials) < FEWEST_SHOWN or not keys:
        return None
    columns = [_column([trial.params.get(key) for trial in trials], key, trials[-1]) for key in keys]
    values = [value_of(trial) for trial in trials]
    low, high = min(values), max(values) if max(values) > min(values) else min(values) + 1
    shares = [(value - low) / (high - low) for value in values]
    ticks = [*(labels for _, labels in columns), {0.0: f"{low:.1f}", 1.0: f"{high:.1f}"}]
    names = [*map(_name, keys), "R@1 (%)"]
    lying = _is_crowded(names, ticks)
    size = (style.look().width, 0.6 + 0.45 * len(names)) if lying else style.look().size(3.2)
    figure, panel = plt.subplots(figsize=size, layout="constrained")
    style.no_grid(panel)
    colours = plt.colormaps["cividis_r"]
    for k, trial in enumerate(trials):
        heights = [*(positions[k] for positions, _ in columns), shares[k]]
        best = k == len(trials) - 1
        colour = style.RED if best else colours(0.1 + 0.9 * shares[k])
        panel.plot(
            *_place(range(len(heights)), heights, lying),
            color=colour,
            linewidth=1.8 if best else 0.8,
            zorder=3 if best else 2,
        )
        tooltips.mark(
            panel,
            *_place(len(keys), shares[k], lying),
            f"trial {trial.number}: {values[k]:.1f}; {journal.settings(trial)}",
        )
    for k, labels in enumerate(ticks):
        _axis(panel, k, labels, lying)
    if lying:
        panel.set_yticks(range(len(names)), [textwrap.fill(" ".join(name.split()), 18) for name in names])
        panel.set(ylim=(len(keys) + 0.5, -0.3), xlim=(-0.1, 1.1))
    else:
        panel.set_xticks(range(len(names)), names)
        panel.set(xlim=(-0.3, len(keys) + 0.4), ylim=(-0.06, 1.06))
    (panel.xaxis if lying else panel.yaxis).set_visible(False)
    for side in ("left", "bottom"):
        panel.spines[side].set_visible(False)
    panel.tick_params(length=0)
    finding = f"the best, trial {trials[-1].number}, has {journal.settings(trials[-1])}"
    panel.set_title(wrap(style.caption(figure, f"{name}, settings of {len(trials)} finished trials", finding), 0.9),
                    loc="left")  # fmt: skip
    style.footnote(figure, f"A line is a trial, the darker the higher its {SCORE}; red: the best of them.")
    return figure


def _column(values: Sequence[Any], key: str, trial: FrozenTrial) -> tuple[list[float], dict[float, str]]:
    """Positions of the values of one setting between 0 and 1, and the labels of its axis by their positions."""
    kind = trial.distributions[key]
    if isinstance(kind, CategoricalDistribution):
        shown = [choice for choice in kind.choices if choice in values]
        step = 1 / max(1, len(shown) - 1)
        positions = {choice: number * step for number, choice in enumerate(shown)}
        labels = {position: _show(key, choice) for choice, position in positions.items()}
        return [positions[value] for value in values], labels
    scaled = np.log if getattr(kind, "log", False) else np.asarray
    ends = [min(values), max(values)]
    low, high = scaled(ends)
    labels = {0.0: _show(key, ends[0]), 1.0: _show(key, ends[1])}
    return ((scaled(values) - low) / (high - low)).tolist(), labels


def _place(along: Any, height: Any, lying: bool) -> tuple[Any, Any]:
    """x and y of a value at that height of an axis; along: the number of the axis."""
    return (height, along) if lying else (along, height)


def _is_crowded(names: Sequence[str], ticks: Sequence[dict[float, str]]) -> bool:
    """Whether axes beside each other would have no room for the words below or right of them."""
    room = 0.92 * 72 * style.look().width / (len(names) + 0.7)  # points from one axis to the next
    words = max(len(word) for name in names for word in name.split())
    values = max(len(text) for labels in ticks for text in labels.values())
    return max(0.57 * style.points("xtick.labelsize") * words, 0.57 * style.small() * values + 6) > room


def _axis(panel: Axes, number: int, ticks: dict[float, str], lying: bool) -> None:
    panel.plot(*_place([number, number], [0, 1], lying), color=style.QUIET, linewidth=0.7, zorder=1)
    for height, text in ticks.items():
        panel.annotate(text, _place(number, height, lying), (0, -3) if lying else (3, 0), textcoords="offset points",
                       ha="center" if lying else "left", va="top" if lying else "center", fontsize=style.small(),
                       zorder=5, bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none",
                                       "alpha": 0.8})  # fmt: skip


def _name(key: str) -> str:
    """A field below its axis: in lines of one or two words."""
    return "\n".join((FIELDS[key].axis if key in FIELDS else key).split())


def _show(key: str, value: Any) -> str:
    return FIELDS[key].show(value) if key in FIELDS else str(value)


def front(study: optuna.Study, name: str) -> Figure | None:
    """R@1 against each cost, with the Pareto front.

    None if there is one objective, or no finished trial.
    """
    names, trials = objectives(study), finished(study)
    if len(names) < 2 or not trials:
        return None
    best = sorted(study.best_trials, key=lambda trial: trial.number)
    numbers = {trial.number for trial in best}
    figure, panels = plt.subplots(1, len(names) - 1, figsize=style.look().size(3.4), layout="constrained", sharey=True,
                                  squeeze=False)  # fmt: skip
    for k, panel in enumerate(panels[0], start=1):
        for trial in trials:
            on = trial.number in numbers
            panel.plot([trial.values[k]], [value_of(trial)], "o", color=style.RED if on else style.BLUE,
                       markerfacecolor=style.RED if on else "none", markersize=4, zorder=3 if on else 2)  # fmt: skip
            tooltips.mark(panel, trial.values[k], value_of(trial), f"trial {trial.number}: {value_of(trial):.1f}, "
                          f"{trial.values[k]:.4g}; {journal.settings(trial)}")  # fmt: skip
        panel.set_xlabel(names[k])
    panels[0][0].set_ylabel(names[0])
    words = f"{name}, {len(best)} of {len(trials)} finished trials on the front"
    cheapest = min(best, key=lambda trial: trial.values[1])
    top = max(best, key=value_of)
    finding = (f"from {value_of(cheapest):.1f} (trial {cheapest.number}, {cheapest.values[1]:.3g}) to "
               f"{value_of(top):.1f} (trial {top.number}, {top.values[1]:.3g})")  # fmt: skip
    panels[0][0].set_title(wrap(style.caption(figure, words, finding), 0.9), loc="left")
    style.footnote(figure, "Red: no other trial is at least as good in all objectives; numbers are those of trials.")
    steps = _steps(best) if len(names) == 2 else []
    for (x, y), (to_x, to_y) in steps:
        panels[0][0].plot([x, to_x], [y, to_y], color=style.RED, linewidth=0.8)
    spots = [(trial.values[1], value_of(trial)) for trial in trials]
    place(
        panels[0][0], [Name(t.values[1], value_of(t), str(t.number)) for t in best], spots, steps
    )  # when all is there
    return figure


def _steps(best: Sequence[FrozenTrial]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The front as a step function: R@1 by cost."""
    corners = sorted((trial.values[1], value_of(trial)) for trial in best)
    segments = []
    for (x, y), (to_x, to_y) in itertools.pairwise(corners):
        segments += [((x, y), (to_x, y)), ((to_x, y), (to_x, to_y))]
    return segments
