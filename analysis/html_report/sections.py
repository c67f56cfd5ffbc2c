"""Content of the report's sections, from a results folder."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from analysis.figures import ablation, learning_curves, pareto
from analysis.html_report.images import Picture, drawn, from_png
from analysis.runs import provenance
from analysis.runs.load import Collection, Skip
from analysis.runs.schema import DIRECTIONS, Run, Sweep, Unreadable
from analysis.stats import sentences
from analysis.stats.cost import Measure
from analysis.stats.summary import Summary, summarise
from analysis.tables import columns, yardsticks
from simvtp.errors import ConfigError


@dataclass(frozen=True)
class Cell:
    text: str
    mark: str = ""  # best, second


@dataclass(frozen=True)
class Recipe:
    """The command that repeats a run."""

    label: str
    seed: int
    run: str
    command: str
    obstacle: str  # why there is no command


@dataclass(frozen=True)
class Section:
    """One sweep. `groups` are (name, columns it spans), '' for none; `rows` pair whether it is the base, cells."""

    anchor: str
    summary: Summary
    finding: str
    groups: list[tuple[str, int]]
    headings: list[str]
    rows: list[tuple[bool, list[Cell]]]
    notes: list[str]
    pictures: list[Picture]
    recipes: list[Recipe]
    yardsticks: list[list[str]]  # of the base, under the headings of analysis/tables/yardsticks.py

    @property
    def title(self) -> str:
        return f"{self.summary.sweep.title} ({self.summary.sweep.preset})"


@dataclass(frozen=True)
class Search:
    """A search: the state in words, its figures, and its best trials as (trial, value, run, settings, command)."""

    anchor: str
    name: str
    state: str
    pictures: list[Picture]
    best: list[tuple[int, str, str, str, str]]


@dataclass(frozen=True)
class RunLine:
    """A run in the list of all runs: its results, its sweeps, its settings that differ from the usual of its preset."""

    id: str
    preset: str
    figures: list[str]  # seed, R@1 there and back, minutes
    sweeps: str
    own: list[str]  # "mask.video 0.5" and so on
    finished: str


def anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def section(sweep: Sweep, collection: Collection, measure: Measure, *, with_published: bool = True) -> Section:
    """Table, figures and recipes of a sweep; where nothing is finished, only its state.

    with_published: whether the paper's figures stand beside rows of their setting.
    """
    summary = summarise(sweep, collection, with_published=with_published)
    name = f"sweep-{anchor(sweep.folder)}"
    if not summary.done:
        return Section(name, summary, "nothing finished yet", [], [], [], [summary.state()], [], [], [])
    shown = columns.columns(summary)
    marked = [columns.marks(summary, column) for column in shown]
    rows = [
        (row.point.base, [Cell(column.text(row), mark.get(k, "")) for column, mark in zip(shown, marked, strict=True)])
        for k, row in enumerate(summary.rows)
    ]
    return Section(
        name, summary, sentences.against_base(summary.rows),
        [(group, len(list(members))) for group, members in itertools.groupby(column.group for column in shown)],
        [column.heading for column in shown], rows, columns.notes(summary),
        _pictures(summary, collection.folder, measure), _recipes(summary),
        yardsticks.rows(summary),
    )  # fmt: skip


def _pictures(summary: Summary, folder: Path, measure: Measure) -> list[Picture]:
    name = summary.sweep.folder
    pictures = [drawn(ablation.draw(summary, measure), name), drawn(pareto.draw(summary, measure), f"{name}-cost")]
    curves = learning_curves.draw(summary, folder)
    return [*pictures, drawn(curves, f"{name}-learning")] if curves else pictures


def _recipes(summary: Summary) -> list[Recipe]:
    recipes = []
    for row in summary.rows:
        for seed, run in row.runs.items():
            recipes.append(Recipe(row.label, seed, run.id, *_command(run)))
    return recipes


def _command(run: Run) -> tuple[str, str]:
    """The command that gives the run again, or '' and why there is none."""
    try:
        return provenance.command(run), ""
    except ConfigError as problem:
        return "", str(problem)


BEST = 10  # trials that are listed of a search


def search_of(name: str, collection: Collection) -> Search:
    """The report of one search; a journal that cannot be read is said."""
    from analysis.figures import search
    from analysis.runs import journal  # imports Optuna, half a second: only where there is a search

    link = f"search-{anchor(name)}"
    try:
        study = journal.read(collection.folder / "sweeps" / name / "study.journal")
    except Unreadable as problem:
        return Search(link, name, str(problem), [], [])
    done, trials = journal.finished(study), study.get_trials(deepcopy=False)
    state = f"{len(done)} of {count(len(trials), 'trial')} finished"
    if not done:
        return Search(link, name, state, [], [])
    pictures = [drawn(search.history(study, name), f"{name}-history")]
    more = {"importance": search.importance(study, name), "settings": search.settings(study, name),
            "front": search.front(study, name)}  # fmt: skip
    pictures += [drawn(figure, f"{name}-{ending}") for ending, figure in more.items() if figure is not None]
    best = []
    for trial in done[:BEST]:
        run = str(trial.user_attrs.get("run", "-"))
        command = _command(collection.runs[run])[0] if run in collection.runs else ""
        best.append((trial.number, f"{journal.value_of(trial):.1f}", run, journal.settings(trial), command))
    return Search(link, name, state, pictures, best)


def fronts(sections: Sequence[Section], measure: Measure) -> list[Picture]:
    """R@1 of all rows of a preset against their cost, where several sweeps share a test."""
    groups = pareto.groups([part.summary for part in sections])
    return [drawn(pareto.overall(members, measure), f"pareto-{name}") for name, members in groups.items()]


def overview(collection: Collection, sections: Sequence[Section]) -> list[str]:
    """The first lines of the report: number of runs, preset, cost, problems."""
    presets = sorted({run.preset for run in collection.runs.values()})
    dates = sorted(str(run.rest["finished"])[:10] for run in collection.runs.values() if run.rest.get("finished"))
    hours = ", ".join(f"{cost.hours:.3g} {cost.device} hours" for cost in provenance.costs(collection.runs.values()))
    several = "s" if len(presets) > 1 else ""
    here = f" ({len(sections)} shown here)" if len(sections) < len(collection.sweeps) else ""
    inside = f"{count(len(collection.sweeps), 'sweep')}{here} of preset{several}"
    lines = [
        f"{count(len(collection.runs), 'finished run')} in {inside} "
        f"{', '.join(presets)}; {hours}" + (f"; the last run ended on {dates[-1]}." if dates else ".")
    ]
    if len(presets) > 1:
        lines.append("Presets are sweeps of their own here: no figure averages over two of them.")
    unfinished = [part for part in sections if part.summary.missing]
    if unfinished:
        lines.append(f"{count(len(unfinished), 'sweep')} of {len(sections)} not finished; each says what is missing.")
    if collection.failures:
        lines.append(f"{count(len(collection.failures), 'run')} failed: see Failures.")
    if collection.skipped:
        lines.append(f"{count(len(collection.skipped), 'item')} left out as not to be trusted: see Left out.")
    return lines


def count(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def all_runs(collection: Collection) -> tuple[dict[str, dict[str, Any]], list[RunLine]]:
    """The usual settings by preset, and every run with the settings that are its own: together the whole config."""
    sweeps: dict[str, list[str]] = {}
    for sweep in collection.sweeps:
        for (point, seed), run in sweep.runs.items():
            if (point, seed) not in sweep.refused:
                sweeps.setdefault(run, []).append(f"{sweep.folder}: {sweep.points[point].label}")
    for name in collection.searches:
        for run, trial in _trials(collection.folder / "sweeps" / name / "study.journal").items():
            sweeps.setdefault(run, []).append(f"{name}: trial {trial}")
    members: dict[str, list[Run]] = {}
    for one in collection.runs.values():
        members.setdefault(one.preset, []).append(one)
    usual = {preset: _usual(runs) for preset, runs in sorted(members.items())}
    lines = [
        RunLine(
            one.id, preset,
            [str(one.config["seed"]), *(columns.one(one.metric("R@1", way)) for way in DIRECTIONS),
             columns.one(one.minutes)],
            "; ".join(sweeps.get(one.id, ["in no sweep"])), _own(one.config, usual[preset]),
            str(one.rest.get("finished") or "-")[:16].replace("T", " "),
        )
        for preset, runs in sorted(members.items()) for one in runs
    ]  # fmt: skip
    return usual, lines


def _trials(path: Path) -> dict[str, int]:
    """Id of a run -> its trial; nothing of a journal that cannot be read, which its section says."""
    from analysis.runs import journal  # see `search_of`

    try:
        trials = journal.read(path).get_trials(deepcopy=False)
    except Unreadable:
        return {}
    return {str(trial.user_attrs["run"]): trial.number for trial in trials if "run" in trial.user_attrs}


def _usual(runs: Sequence[Run]) -> dict[str, Any]:
    """The most frequent value of each setting that every one of the runs has."""
    configs = [run.config for run in runs]
    shared = set(configs[0]).intersection(*configs)
    return {key: Counter(map(itemgetter(key), configs)).most_common(1)[0][0] for key in configs[0] if key in shared}


def _own(config: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    return [f"{key} {value}" for key, value in config.items() if key not in usual or usual[key] != value]


def reconstructions(folder: Path) -> tuple[list[Picture], list[Skip]]:
    """What analysis/reconstruct.py drew, figures/reconstruct-<run>-<video>.png, and what is no PNG."""
    pictures, damaged = [], []
    for path in sorted((folder / "figures").glob("reconstruct-*.png")):
        run, _, video = path.stem.removeprefix("reconstruct-").partition("-")
        title = f"Original, masked and rebuilt frames of video {video or 'not named'}, by run {run}"
        try:
            pictures.append(from_png(path, title))
        except Unreadable as problem:
            damaged.append(Skip(f"figures/{path.name}", str(problem)))
    return pictures, damaged
