"""Output of a search: its plan for --dry-run, the table of trials, the summary at the end."""

from __future__ import annotations

import dataclasses
import logging
import shlex
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from simvtp.config.plugins.source import options_of
from simvtp.config.presets import preset
from simvtp.config.schema import FIELDS, flatten
from sweeps.plan import Plan, Run
from sweeps.scheduler.display import Screen, script, show
from sweeps.search.space import Space
from sweeps.search.trials import INFEASIBLE, Trial, Trials
from sweeps.state.cost_estimate import cost_line, hours_spent
from sweeps.state.run_states import RunRegistry, RunState, RunSummary

log = logging.getLogger(__name__)

WORDS = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


class SearchScreen(Screen):
    """Shows validation R@1, since test results must not guide the search."""

    def score(self, summary: RunSummary) -> str:
        return f"validation R@1 {summary.validation:.1f}"


def with_runs(plan: Plan, trials: Trials) -> Plan:
    """The plan with the runs of all rungs that the trials have reached."""
    runs = {run.id: run for trial in trials.trials for rung in trial.rungs[: trial.passed + 1] for run in rung}
    return dataclasses.replace(plan, runs=runs)


def search_table(plan: Plan, trials: Trials, states: Mapping[str, RunState], most: int | None = None) -> Table:
    """A row a trial: its state, validation R@1 at each rung, its settings. most: lines of the screen."""
    counts = Counter(_word(trial, states) for trial in trials.trials)
    summary = ", ".join(f"{number} {word}" for word, number in counts.items()) or "no trial yet"
    title = f"{plan.folder}: {summary}; {hours_spent(plan, states):.2f} hours of a device so far"
    shown = [trial for trial in trials.trials if trial.rungs]
    if most is not None and len(shown) > most - 6:
        shown = sorted(shown, key=lambda trial: (trial.state != TrialState.RUNNING, -trial.number))[: max(1, most - 7)]
    hidden = trials.chosen - len(shown)
    table = Table(title=title, title_justify="left", caption=f"and {hidden} more" if hidden else None)
    shares = trials.space.search.shares
    numbers = [
        "trial",
        *(f"R@1\nat {share}" for share in shares),
        *(measure.name.replace(" ", "\n") for measure in trials.space.search.minimise),
        *(axis.key.replace(".", "\n") for axis in trials.space.search.axes),
    ]
    for name in (*numbers[:1], "state", *numbers[1:], "run"):
        table.add_column(name, justify="right" if name in numbers else "left")
    for trial in shown:
        scores = [f"{score:.1f}" for score in trial.scores] + [""] * (len(shares) - len(trial.scores))
        values = [FIELDS[key].show(value) for key, value in trials.space.rounded(trial.params).items()]
        costs = [f"{cost:.4g}" for cost in trial.costs]
        current: Run = trial.rungs[trial.passed][0]
        table.add_row(str(trial.number), _word(trial, states), *scores, *costs, *values, current.id)
    return table


def _word(trial: Trial, states: Mapping[str, RunState]) -> str:
    """State of a trial in a word; of a running one, the first state in `order` that one of its current runs has."""
    if not trial.rungs:
        return INFEASIBLE
    if trial.state in WORDS:
        return WORDS[trial.state]
    names = [states[run.id].name for run in trial.current_runs]
    order = ("running", "queued", "interrupted", "failed", "waiting", "done")
    return next(name for name in order if name in names)


def describe_search(space: Space, trials: Trials, wanted: int) -> list[str]:
    """Lines of --dry-run: the space, the objectives, the constraints, and the expected number of runs."""
    lines = []
    for key, values in space.ranges.items():
        if isinstance(values, CategoricalDistribution):
            lines.append(f"{key}: {' or '.join(FIELDS[key].show(value) for value in values.choices)}")
            continue
        digits = "whole numbers" if isinstance(values, IntDistribution) else "of two digits"
        how = f"on a log scale, {digits}" if values.log else f"in steps of {values.step:g}"
        lines.append(f"{key}: {values.low:g} to {values.high:g}, {how}")
    lines.append(f"sampler {space.search.sampler}; objectives: {', '.join(space.objectives)}")
    for part in space.search.constraints:
        limit = part.factor * part.measure.of(space.base)
        lines.append(f"{part.measure.name}: at most {limit:.4g}, {part.factor:g} times that of the base")
    shares, left = space.search.shares, max(0, wanted - trials.chosen)
    what = {"length": "both schedules", "data": "the pre-training data"}[space.search.budget]
    runs, compute, reach = [], Fraction(0), Fraction(left)
    for share, before in zip(shares, (None, *shares), strict=False):
        reach *= before / share if before is not None else 1
        runs.append(f"{float(reach) * len(space.seeds):.3g} runs at {share}")
        compute += reach * share * len(space.seeds)
    lines.append(f"{trials.chosen} trials chosen so far, {left} more to choose; about {', '.join(runs)} of {what}: "
                 f"the work of {float(compute):.3g} full runs")  # fmt: skip
    return [*lines, "nothing was started"]


def sum_up(console: Console, plan: Plan, trials: Trials, registry: RunRegistry) -> int:
    """Print the trials, the failures, the best trial with the command that repeats it, and the cost.

    Returns the exit code: 1 if a trial failed or none is complete.
    """
    plan = with_runs(plan, trials)
    states = registry.states(plan)
    console.print(search_table(plan, trials, states))
    failed = trials.failed()
    for trial in failed:
        for run in (run for rung in trial.rungs for run in rung):
            failure = registry.state(run).failure
            if failure is not None:
                where = registry.folder(run.id) / "failure.json"
                log.error(f"failed: {run.label}, seed {run.seed}: {failure.get('error')} (traceback in {where})")
    if failed:
        show(
            console,
            f"{len(failed)} of {trials.chosen} trials failed; the same command with --retry failed tries them again",
        )
    best = trials.best()
    if best is not None:
        figure = f"trial {best.number}, validation R@1 {best.scores[-1]:.1f}, the highest of {trials.chosen}"
        show(console, f"best: {figure}; with a new seed: {again(plan, best)}")
        if len(trials.space.objectives) > 1:
            show(console, f"on the front: trials {', '.join(str(trial.number) for trial in trials.front())}")
    show(console, cost_line(plan, states))
    show(console, f"next: {script('analysis/plot.py')} {registry.results}/")
    return 1 if failed or best is None else 0


def again(plan: Plan, trial: Trial) -> str:
    """The command that trains a trial's settings with a seed that the search did not use."""
    usual = flatten(preset(plan.preset))
    own = {key: value for key, value in flatten(plan.base).items() if value != usual[key] and key != "seed"}
    loaded = options_of(own.pop("plugins", ""))
    words = [f"--set {shlex.quote(f'{key}={value}')}" for key, value in {**own, **trial.params}.items()]
    words += [shlex.join(loaded)] if loaded else []
    return f"python -m simvtp.run --preset {plan.preset} {' '.join(words)} --set seed={max(plan.seeds) + 1}"
