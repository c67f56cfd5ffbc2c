"""Sweeps x seeds -> unique runs: a run that several sweeps share is trained once. Sweeps are saved as sweep.json."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from simvtp.config.plugins.source import merged
from simvtp.config.presets import preset as preset_of
from simvtp.config.run_id import FILES, content_of, pretrain_id, run_id
from simvtp.config.schema import Config, completed, flatten, override
from simvtp.config.tube_counts import tubes_decoded, tubes_masked
from simvtp.data.resolve import resolved
from simvtp.errors import ConfigError
from simvtp.runtime.files import read_json
from sweeps.catalogue import find_sweep, is_ablation
from sweeps.definition import Point, Sweep


@dataclass(frozen=True, slots=True)
class Run:
    """One config with one seed.

    id: of the run. stage: id of its pre-training; None: it has none. settings: the config but for the seed; one object
    for all seeds of a point, since there may be ten thousand runs. label: of its point. seed: its seed.
    """

    id: str
    stage: str | None
    settings: Config
    label: str
    seed: int

    @property
    def config(self) -> Config:
        """The config with this run's seed."""
        return replace(self.settings, seed=self.seed)

    @property
    def values(self) -> dict[str, Any]:
        """The flat config."""
        return {**flatten(self.settings), "seed": self.seed}


@dataclass(frozen=True)
class Table:
    """One sweep of the plan, which becomes one table.

    name: of the sweep. folder: its folder below results/sweeps/. title, axes: as in `Sweep`. points: the base, then the
    others. seeds: of every point. ids: of its runs, by point and then by seed.
    """

    name: str
    folder: str
    title: str
    axes: tuple[str, ...]
    points: tuple[Point, ...]
    seeds: tuple[int, ...]
    ids: tuple[str, ...]

    def of(self, point: int) -> tuple[str, ...]:
        """Ids of the runs of a point, one for each seed."""
        return self.ids[point * len(self.seeds) : (point + 1) * len(self.seeds)]


@dataclass
class Plan:
    """All runs of one command.

    name: of the sweep. folder: name of its folder below results/sweeps/. preset: its name. base: the config that points
    change. seeds: of every point. tables: one for each joined sweep. runs: by id, each once.
    """

    name: str
    folder: str
    preset: str
    base: Config
    seeds: tuple[int, ...]
    tables: list[Table] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)

    def shared_stages(self) -> dict[str, list[str]]:
        """Pre-training stages that several runs use -> those runs."""
        users: dict[str, list[str]] = {}
        for run in self.runs.values():
            if run.stage is not None:
                users.setdefault(run.stage, []).append(run.id)
        return {stage: runs for stage, runs in users.items() if len(runs) > 1}


def make_plan(name: str, preset: str, base: Config, seeds: Sequence[int], sweep: Sweep | None = None) -> Plan:
    """All runs of a sweep.

    name: of the sweep and of its results. preset: its name. base: the config that points change. seeds: of every point.
    sweep: its definition; None: the one of that name in `sweeps/ablations/`.
    Raises ConfigError, naming the point, for one that cannot be run.
    """
    suffix = suffix_of(preset, base)
    plan = Plan(name, name + suffix, preset, base, tuple(seeds))
    sweep = sweep or find_sweep(name)
    for part, of in {part: find_sweep(part) for part in sweep.parts}.items() or ((name, sweep),):
        try:
            points = of.points_around(base)
        except ConfigError as error:
            raise ConfigError(f"sweep {part}: {error}") from error
        made = (run for point in points for run in _runs(part, point, base, seeds))
        ids = tuple(plan.runs.setdefault(run.id, run).id for run in made)
        plan.tables.append(Table(part, part + suffix, of.title, of.axes_of(points), points, plan.seeds, ids))
    return plan


def equal_points(plan: Plan) -> list[str]:
    """A line for each group of points that are the same experiment: their mask ratios round to the same number of
    tubes. All of them are trained."""
    lines = []
    for table in plan.tables:
        groups: dict[str, list[int]] = {}
        for number in range(len(table.points)):
            groups.setdefault(_masked_alike(plan.runs[table.of(number)[0]].settings), []).append(number)
        for numbers in groups.values():
            if len({table.of(number) for number in numbers}) > 1:
                labels = ", ".join(table.points[number].label for number in numbers)
                config = plan.runs[table.of(numbers[0])[0]].settings
                tubes = f"{tubes_masked(config.model, config.mask)} of {config.model.tubes} tubes"
                lines.append(f"{table.folder}: these points are the same experiment, as each masks {tubes}: {labels}")
    return lines


def _masked_alike(config: Config) -> str:
    """The settings that determine a run's result, with numbers of tubes instead of ratios."""
    counts = (tubes_masked(config.model, config.mask), tubes_decoded(config.model, config.mask))
    rest = {key: value for key, value in flatten(config).items() if key not in ("mask.video", "mask.decoded", "seed")}
    return json.dumps([counts, _outcome(rest)], sort_keys=True)


def suffix_of(preset: str, base: Config, more: Mapping[str, Any] | None = None) -> str:
    """The end of a sweep's folder name: the preset, and a digest of the changes to it.

    Machine settings change no result, and seeds belong to the runs, so neither is included. more: settings of the
    sweep itself that differ from those of its file.
    """
    plain = flatten(preset_of(preset))
    changes = {
        key: content_of(key, value)
        for key, value in flatten(base).items()
        if value != plain[key] and key != "seed" and not key.startswith("machine.")
    }
    changes |= more or {}
    text = json.dumps(changes, sort_keys=True)
    return f"-{preset}-{hashlib.sha256(text.encode()).hexdigest()[:6]}" if changes else f"-{preset}"


def _runs(sweep: str, point: Point, base: Config, seeds: Sequence[int]) -> Iterator[Run]:
    """One run for each seed."""
    try:
        settings = override(base, point.set)
        if FILES & point.set.keys():  # files that the base names are resolved already
            settings = resolved(settings)
        for seed in seeds:
            config = replace(settings, seed=seed)
            stage = pretrain_id(config)  # one text for all runs that share it
            yield Run(run_id(config), sys.intern(stage) if stage else None, settings, point.label, seed)
    except ConfigError as error:
        raise ConfigError(f"sweep {sweep}, point {point.label!r}: {error}") from error


def sweep_record(plan: Plan, table: Table, command: str, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The content of sweep.json. Seeds of an earlier record are kept if it has the same configs.

    They are dropped if the sweep's file or the preset has changed since: a table never mixes two configs.
    """
    base = _recorded_base(plan, table)
    pairs = ((point, seed) for point in range(len(table.points)) for seed in table.seeds)
    runs = [{"point": point, "seed": seed, "run": run} for (point, seed), run in zip(pairs, table.ids, strict=True)]
    points = [{"label": p.label, "set": dict(p.set), "base": not p.set} for p in table.points]
    if before and _settings(before["points"]) == _settings(points) and _outcome(before["base"]) == _outcome(base):
        known = set(plan.seeds)
        runs += [old for old in before["runs"] if old["seed"] not in known]
    runs.sort(key=lambda run: (run["point"], run["seed"]))
    return {
        "version": 1, "name": table.name, "preset": plan.preset, "title": table.title, "command": command,
        "axes": list(table.axes), "base": base, "points": points,
        "seeds": sorted({run["seed"] for run in runs}), "runs": runs,
    }  # fmt: skip


def _recorded_base(plan: Plan, table: Table) -> dict[str, Any]:
    """The base with a value for every field that a point sets, also of plugins, for the options of plugins that a point
    switches on, and the plugins of all points."""
    own, settings = flatten(plan.base), [plan.runs[run].settings for run in table.ids]
    changed = {*table.axes, *(key for point in table.points for key in point.set)}
    added = {key: own[key] for key in sorted(changed.union(*(dict(config.extra) for config in settings)))}
    values = {**added, **own, "plugins": merged(config.plugins for config in settings)}
    return {key: value for key, value in values.items() if key != "seed"}


def _settings(points: Iterable[Mapping[str, Any]]) -> list[Any]:
    """The settings of each point, without labels."""
    return [point["set"] for point in points]


def _outcome(flat: Mapping[str, Any]) -> dict[str, Any]:
    values = completed(flat).items()
    return {key: content_of(key, value) for key, value in values if not key.startswith("machine.")}


T = TypeVar("T")


def chunks(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Parts of at most `size` things, in order."""
    for start in range(0, len(things), size):
        yield things[start : start + size]


def saved_sweep(results: Path, name: str, preset: str, base: Config) -> Sweep | None:
    """The sweep of that name that was started with this preset and these changes to it; None if none was."""
    suffix = suffix_of(preset, base)
    record = _read(results / "sweeps" / f"{name}{suffix}" / "sweep.json")
    if record is None or record.get("name") != name:
        return None
    try:
        if "parts" in record:
            return Sweep(name, parts=tuple(str(part).removesuffix(suffix) for part in record["parts"]))
        points = [Point(str(point["label"]), dict(point["set"])) for point in record["points"]]
        return Sweep(str(record["title"]), axes=tuple(record["axes"]), points=points)
    except (KeyError, TypeError, AttributeError, ValueError):
        return None  # damaged, or of a version with other fields


def saved_names(results: Path) -> Iterator[tuple[str, str]]:
    """Name and title of each sweep of the results folder that is none of `sweeps/ablations/`, each once."""
    seen = set[str]()
    for path in sorted((results / "sweeps").glob("*/sweep.json")):
        record = _read(path) or {}
        name, title = str(record.get("name", "")), str(record.get("title", ""))
        if title and name not in seen and not is_ablation(name):
            seen.add(name)
            yield name, title


def commands_of(results: Path, name: str) -> list[str]:
    """The command lines that started sweeps of that name, with whatever preset and settings."""
    records = (_read(path) or {} for path in sorted((results / "sweeps").glob("*/sweep.json")))
    return [str(record["command"]) for record in records if record.get("name") == name and record.get("command")]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
