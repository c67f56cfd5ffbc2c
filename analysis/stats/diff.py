"""Differences of two results folders: settings and results of their common points, and points that only one has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.runs.load import Collection
from analysis.runs.provenance import Environment, environments
from analysis.runs.schema import Point, Run, Sweep
from analysis.stats.intervals import Difference, differences
from analysis.stats.summary import MAIN, Row, Summary, summarise

Values = dict[str, tuple[str, str]]  # what differs -> its value in A and in B


@dataclass(frozen=True)
class PointDiff:
    """A point that both sweeps have: its rows, and B minus A over the seeds that both have finished."""

    first: Row
    second: Row
    seeds: list[int]  # of both
    same: list[int]  # of these, seeds whose two runs put every test query at the same rank
    difference: Difference | None
    obstacle: str  # why there is no difference


@dataclass(frozen=True)
class RunGroup:
    """Pairs of runs, by point and seed, that differ in the same settings, code and environment."""

    differing: Values
    recorded: bool  # whether code and environment of the runs were kept
    runs: list[str]


@dataclass(frozen=True)
class SweepDiff:
    """One sweep in both folders. only_first and only_second: what is finished in one of them alone."""

    first: Summary
    second: Summary
    settings: Values  # of the base
    points: list[PointDiff]
    groups: list[RunGroup]
    only_first: list[str]
    only_second: list[str]


@dataclass(frozen=True)
class ResultsDiff:
    sweeps: list[SweepDiff]
    only_first: list[str]  # sweeps
    only_second: list[str]


def diff_results(first: Collection, second: Collection) -> ResultsDiff:
    """The differences of two results folders. Sweeps are matched by folder name, then by their name if it is unique."""
    matched = _matched(first.sweeps, second.sweeps)
    environments_of = (_environments(first), _environments(second))
    pairs = [_pair(summarise(one, first), summarise(other, second), environments_of) for one, other in matched]
    used = {(one.folder, 1) for one, _ in matched} | {(other.folder, 2) for _, other in matched}
    return ResultsDiff(
        pairs,
        [sweep.folder for sweep in first.sweeps if (sweep.folder, 1) not in used],
        [sweep.folder for sweep in second.sweeps if (sweep.folder, 2) not in used],
    )


def matching_sweep(sweep: Sweep, others: Iterable[Sweep]) -> Sweep | None:
    """The sweep of another folder that is this one: of the same folder name, or the only one of the same name."""
    others = list(others)
    exact = [other for other in others if other.folder == sweep.folder]
    named = [other for other in others if other.name == sweep.name]
    return exact[0] if exact else named[0] if len(named) == 1 else None


def _matched(first: list[Sweep], second: list[Sweep]) -> list[tuple[Sweep, Sweep]]:
    matches = [(one, other) for one in first if (other := matching_sweep(one, second))]
    return [(one, other) for one, other in matches if matching_sweep(other, first) is one]


def _environments(collection: Collection) -> dict[str, Environment]:
    groups, _ = environments(collection.folder, collection.runs)
    return {run: group for group in groups for run in group.runs}


def _pair(
    first: Summary, second: Summary, environments_of: tuple[Mapping[str, Environment], Mapping[str, Environment]]
) -> SweepDiff:
    both = _both(first.rows, second.rows)
    groups: dict[str, RunGroup] = {}
    for one, other in both:
        for seed in sorted(one.runs.keys() & other.runs.keys()):
            differing = _differing(one.runs[seed], other.runs[seed], environments_of)
            recorded = one.runs[seed].id in environments_of[0]
            group = groups.setdefault(json.dumps([differing, recorded]), RunGroup(differing, recorded, []))
            group.runs.append(f"{one.label}, seed {seed}")
    return SweepDiff(
        first, second, _differing_values(first.sweep.base, second.sweep.base), point_diffs(first.rows, second.rows),
        sorted(groups.values(), key=lambda group: -len(group.runs)), _only(first, second), _only(second, first),
    )  # fmt: skip


def _key(point: Point) -> str:
    return "base" if point.base else json.dumps(dict(point.set), sort_keys=True)


def _only(mine: Summary, theirs: Summary) -> list[str]:
    """'video 95%: seeds 3, 4' for what is finished in `mine` and not in `theirs`."""
    rows = {_key(row.point): row for row in theirs.rows}
    entries = []
    for row in mine.finished_rows:
        other = rows.get(_key(row.point))
        seeds = [seed for seed in row.runs if other is None or seed not in other.runs]
        if seeds:
            entries.append(f"{row.label}: seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}")
    return entries


def point_diffs(first: Sequence[Row], second: Sequence[Row]) -> list[PointDiff]:
    """Each point that both have: B minus A from hits [S, Q] of the seeds in both, Holm-corrected over all of them."""
    both = _both(first, second)
    shared = [sorted(one.runs.keys() & other.runs.keys()) for one, other in both]
    obstacles = [_obstacle(one, other, seeds) for (one, other), seeds in zip(both, shared, strict=True)]
    comparable = [k for k, obstacle in enumerate(obstacles) if not obstacle]
    pairs = [(_hits(both[k][1], shared[k]), _hits(both[k][0], shared[k])) for k in comparable]
    tested = dict(zip(comparable, differences(pairs), strict=True))
    return [
        PointDiff(one, other, shared[k], [seed for seed in shared[k] if _same_ranks(one.runs[seed], other.runs[seed])],
             tested.get(k), obstacles[k])
        for k, (one, other) in enumerate(both)
    ]  # fmt: skip


def _both(first: Sequence[Row], second: Sequence[Row]) -> list[tuple[Row, Row]]:
    rows = {_key(row.point): row for row in second}
    return [(row, rows[_key(row.point)]) for row in first if _key(row.point) in rows]


def _obstacle(one: Row, other: Row, seeds: list[int]) -> str:
    """Why two rows cannot be paired by seed and by query; '' where they can."""
    if not one.runs or not other.runs:
        return "not finished in " + " and ".join(name for name, row in (("A", one), ("B", other)) if not row.runs)
    if not seeds:
        return "no seed in both"
    paired = all(one.runs[seed].same_queries(other.runs[seed]) for seed in seeds)
    return "" if paired else "another test corpus: levels cannot be compared"


def _hits(row: Row, seeds: list[int]) -> npt.NDArray[np.float32]:
    """[S, Q]: R@1 text-to-video of every query, 0 or 100 (`Run.hits`); a row for each of `seeds`, in their order."""
    return np.stack([row.runs[seed].hits(MAIN) for seed in seeds])


def _same_ranks(one: Run, other: Run) -> bool:
    """Whether the ranks [Q] of both directions are equal."""
    return all(np.array_equal(one.ranks[way], other.ranks[way]) for way in one.ranks)


def _differing_values(first: Mapping[str, Any], second: Mapping[str, Any]) -> Values:
    absent = "not there"
    pairs = {key: (first.get(key, absent), second.get(key, absent)) for key in (*first, *second)}
    return {key: (str(a), str(b)) for key, (a, b) in pairs.items() if a != b}


def _differing(
    one: Run, other: Run, environments_of: tuple[Mapping[str, Environment], Mapping[str, Environment]]
) -> Values:
    """Settings, corpora, code and environment of two runs of one point and seed, where they are not the same."""
    differing = _differing_values(one.config, other.config)
    differing |= {f"corpus {key}": value for key, value in _differing_values(one.corpus, other.corpus).items()}
    here, there = (environments.get(run.id) for environments, run in zip(environments_of, (one, other), strict=True))
    if here is None or there is None:
        known = ["not recorded" if group is None else "recorded" for group in (here, there)]
        return differing | ({"environment": (known[0], known[1])} if known[0] != known[1] else {})
    differing |= _differing_values({**here.facts, **here.packages}, {**there.facts, **there.packages})
    if here.diff != there.diff:
        differing["changes without a commit"] = (_size(here.diff), _size(there.diff))
    return differing


def _size(diff: str) -> str:
    return f"{len(diff.splitlines())} lines"
