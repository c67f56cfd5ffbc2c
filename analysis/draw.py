"""Draws and writes every figure of a results folder, for analysis/plot.py."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from analysis import cli
from analysis.figures import ablation, learning_curves, looks, overlay, pareto, style
from analysis.runs.load import Collection, load
from analysis.runs.schema import Sweep, Unreadable
from analysis.runs.text import file_name, printable
from analysis.stats import diff, metric
from analysis.stats.cost import MEASURES, Measure
from analysis.stats.summary import Summary, summarise
from simvtp.errors import DataError

log = logging.getLogger(__name__)

Save = Callable[[Figure, str], None]


def show(arguments: argparse.Namespace, collection: Collection, sweeps: Sequence[Sweep]) -> int:
    """Draws every chosen sweep and search; returns how many have nothing to show yet."""
    style.apply(looks.of_arguments(arguments))
    compared = metric.of_arguments(arguments)
    folder = arguments.output or Path(arguments.folder) / "figures"
    formats = tuple(arguments.format or looks.FORMATS)

    def save(figure: Figure, name: str) -> None:
        cli.write(folder / f"{name}.txt", f"{style.caption_of(figure)}\n".encode())
        for ending, content in style.rendered(figure, formats).items():
            cli.write(folder / f"{name}.{ending}", content)
        cli.output(f"{folder / name}.{formats[0]}" + (f" ({', '.join(formats[1:])})" if formats[1:] else ""))

    if arguments.against is not None:
        if arguments.cost != "time":
            raise DataError(f"--cost {arguments.cost}: --against draws no costs; leave one of the two out")
        if compared != metric.R1:
            raise DataError("--against compares R@1 of text-to-video; leave --metric and --direction out")
        return _against(collection, sweeps, load(arguments.against), save)
    summaries = [summarise(sweep, collection, metric=compared, with_published=arguments.published) for sweep in sweeps]
    measure = MEASURES[arguments.cost]
    for summary in summaries:
        measure(summary.rows)  # a run without that cost ends the command before anything is drawn
    empty = sum(not _sweep(summary, collection, measure, save) for summary in summaries)
    if arguments.only is None:
        for name, members in pareto.groups(summaries).items():
            save(pareto.overall(members, measure), f"pareto-{file_name(name)}{compared.suffix}")
    return empty + sum(not _search(name, collection, save) for name in cli.searches(collection, arguments.only))


def _sweep(summary: Summary, collection: Collection, measure: Measure, save: Save) -> bool:
    name, ending = summary.sweep.folder, summary.metric.suffix
    if not summary.done:
        log.warning("%s: nothing finished yet. %s", name, summary.state())
        return False
    save(ablation.draw(summary, measure), f"{name}{ending}")
    save(pareto.draw(summary, measure), f"{name}-cost{ending}")
    curves = None if ending else learning_curves.draw(summary, collection.folder)  # the same for every metric
    if curves is not None:
        save(curves, f"{name}-learning")
    if summary.missing:
        cli.output(f"{name}: {summary.state()}")
    return True


def _search(name: str, collection: Collection, save: Save) -> bool:
    from analysis.figures import search
    from analysis.runs import journal  # imports Optuna, half a second: only where there is a search

    try:
        study = journal.read(collection.folder / "sweeps" / name / "study.journal")
    except Unreadable as problem:
        log.warning("%s", problem)
        return False
    if not journal.finished(study):
        log.warning("%s: no trial has finished yet", name)
        return False
    save(search.history(study, name), f"{name}-history")
    bars = search.importance(study, name)
    if bars is None:
        cli.output(f"{name}: no importance yet; it takes {search.FEWEST} finished trials and settings that vary")
    else:
        save(bars, f"{name}-importance")
    more = {"settings": search.settings(study, name), "front": search.front(study, name)}
    for ending, figure in more.items():
        if figure is not None:
            save(figure, f"{name}-{ending}")
    return True


def _against(collection: Collection, sweeps: Sequence[Sweep], other: Collection, save: Save) -> int:
    """Draw each sweep over the same sweep of the other folder; returns how many have no finished one there."""
    cli.log_skipped(other)
    called = overlay.names(collection.folder, other.folder)
    failed = 0
    for sweep in sweeps:
        like = diff.matching_sweep(sweep, other.sweeps)
        both = [summarise(sweep, collection), summarise(like, other)] if like else []
        if not both or not all(summary.done for summary in both):
            log.warning("%s", printable(f"{sweep.folder}: {other.folder} has nothing finished to draw it against"))
            failed += 1
            continue
        save(overlay.draw(both[0], both[1], called), f"{sweep.folder}-against-{file_name(called[1].replace('/', '-'))}")
    return failed
