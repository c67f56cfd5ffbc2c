"""A search with the options of a command line applied."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from simvtp.config.schema import Config
from sweeps.plan import Plan, suffix_of
from sweeps.search.space import Space, chosen_axes, shares_of
from sweeps.search.trials import Trials
from sweeps.search_definition import Search
from sweeps.state.run_states import RunRegistry
from sweeps.study import storage
from sweeps.study.storage import Copy, Database, Journal

TRIALS = 40


@dataclasses.dataclass(frozen=True)
class SearchSpec:
    """A search with the options of a command line applied.

    name: of its file. usual: the search as the file defines it. space: the search space, with its base config. preset:
    name of the preset. trials: number of points in all. database: stores the study; None: a journal in its folder.
    """

    name: str
    usual: Search
    space: Space
    preset: str
    trials: int
    database: Database | None

    @property
    def folder(self) -> str:
        """Name of the study's folder, which contains the settings that differ from those of the file."""
        usual, own = self.usual, self.space.search
        more: dict[str, Any] = {}
        if own.axes != usual.axes:
            more["search.over"] = [axis.key for axis in own.axes]
        if own.shares != usual.shares:
            more["search.rungs"] = [str(share) for share in own.shares]
        if own.budget != usual.budget and len(own.shares) > 1:
            more["search.budget"] = own.budget
        if own.sampler != usual.sampler:
            more["search.sampler"] = own.sampler
        if self.space.seeds != (0,):
            more["search.seeds"] = list(self.space.seeds)
        return self.name + suffix_of(self.preset, self.space.base, more)

    def plan(self) -> Plan:
        """A plan without runs; the controller adds them."""
        return Plan(self.name, self.folder, self.preset, self.space.base, self.space.seeds)

    def study(self, registry: RunRegistry) -> Trials:
        """The study, writable; the caller holds the lock of the folder."""
        folder = registry.results / "sweeps" / self.folder
        return Trials(self.space, folder, self._backend(folder))

    def study_copy(self, registry: RunRegistry) -> Trials:
        """A copy in memory of the study as it is now; writes to it are lost."""
        folder = registry.results / "sweeps" / self.folder
        return Trials(self.space, folder, Copy(self._backend(folder), self.folder))

    def _backend(self, folder: Path) -> Database | Journal:
        return self.database or Journal((folder / "study.journal").resolve())


def parse_search(
    name: str, usual: Search, arguments: argparse.Namespace, base: Config, seeds: tuple[int, ...]
) -> SearchSpec:
    """The search of that name, with --over, --rungs, --budget and --sampler applied; raises ConfigError."""
    changed = usual
    if arguments.over is not None:
        changed = dataclasses.replace(changed, axes=chosen_axes(changed.axes, arguments.over))
    if arguments.rungs is not None:
        changed = dataclasses.replace(changed, shares=shares_of(arguments.rungs))
    if arguments.budget is not None:
        changed = dataclasses.replace(changed, budget=arguments.budget)
    if arguments.sampler is not None:
        changed = dataclasses.replace(changed, sampler=arguments.sampler)
    space = Space(changed, base, seeds)
    trials = arguments.trials or TRIALS
    return SearchSpec(name, usual, space, arguments.preset, trials, storage.chosen(arguments.storage))


def example_plan(spec: SearchSpec) -> Plan:
    """A plan with the run of the base config, for checks: every run of the search needs the same data and weights."""
    (run, *_) = spec.space.runs({}, spec.space.search.shares[-1], "")
    return dataclasses.replace(spec.plan(), runs={run.id: run})
