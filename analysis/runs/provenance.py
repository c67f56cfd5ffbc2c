"""Provenance of numbers: the command that repeats a run, its environment, its failure, the cost of all runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.runs.schema import Run, Sweep, Unreadable, read_json
from simvtp.config.plugins.source import options_of
from simvtp.config.presets import PRESETS, preset
from simvtp.config.run_dirs import RUNS, folder_of
from simvtp.config.run_id import run_id
from simvtp.config.schema import flatten, override, unflatten
from simvtp.errors import ConfigError

AGAIN = "reproduced"  # the results folder that the commands write: not the one that holds the run already


def command(run: Run) -> str:
    """The line that trains and tests the run once more; raises ConfigError if this code cannot give that run."""
    return command_of(run.config, run.preset, run.id)


def command_of(config: Mapping[str, Any], name: str, run: str) -> str:
    """`python -m simvtp.run` with every setting that differs from the preset; checked against the run's id."""
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} is not known to this code")
    base = preset(name)
    wanted, usual = flatten(unflatten(config)), flatten(base)
    changes = {key: value for key, value in wanted.items() if value != usual.get(key)}
    if run_id(override(base, changes)) != run:
        raise ConfigError(f"this code gives its config another id than {run}; check out the commit of its environment")
    words = ["python", "-m", "simvtp.run", "--preset", name]
    words += options_of(str(changes.pop("plugins", "")))
    for key, value in changes.items():
        words += ["--set", f"{key}={value}"]
    return shlex.join([*words, "--results", AGAIN])


@dataclass(frozen=True)
class Environment:
    """What some runs were computed with, and which runs those are."""

    facts: Mapping[str, str]
    packages: Mapping[str, str]
    diff: str
    runs: list[str]


def environments(folder: Path, runs: Iterable[str]) -> tuple[list[Environment], list[str]]:
    """The different environments of the runs, most used first, and the runs of which none was kept.

    Host and job do not tell environments apart. A damaged environment.json counts as none kept.
    """
    groups: dict[str, Environment] = {}
    without = []
    for run in runs:
        try:
            content = read_json(folder_of(folder, RUNS, run) / "environment.json")
        except Unreadable:
            without.append(run)
            continue
        code, packages = content.get("code") or {}, content.get("packages") or {}
        if not isinstance(code, dict) or not isinstance(packages, dict):
            without.append(run)
            continue
        facts = {name: _plain(content.get(name)) for name in ("python", "system", "cores", "threads", "gpu")}
        facts["commit"] = str(code.get("commit") or "not known")
        packages = {name: str(version or "-") for name, version in packages.items()}
        key = json.dumps([facts, packages, code.get("diff")], sort_keys=True)
        groups.setdefault(key, Environment(facts, packages, str(code.get("diff") or ""), [])).runs.append(run)
    return sorted(groups.values(), key=lambda group: -len(group.runs)), without


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return "none" if value is None else str(value)


@dataclass(frozen=True)
class Failure:
    """A run that failed. `rows`: which points of which sweeps wait for it; `command` trains it outside of them."""

    run: str
    rows: list[str]  # "mask_ratio-tiny: text 90%, seed 2"
    where: str
    error: str
    traceback: str
    command: str  # '' where no sweep asks for the run
    obstacle: str  # why this code cannot give it


def failures(folder: Path, runs: Mapping[str, str], sweeps: Iterable[Sweep]) -> list[Failure]:
    """What the failure.json of runs without a result tell; `runs` maps their ids to the error in one line."""
    rows: dict[str, list[str]] = {}
    commands: dict[str, tuple[str, str]] = {}
    for sweep in sweeps:
        for (index, seed), run in sweep.runs.items():
            if run in runs:
                point = sweep.points[index]
                rows.setdefault(run, []).append(f"{sweep.folder}: {point.label}, seed {seed}")
                commands[run] = _command_or_why({**sweep.base, **point.set, "seed": seed}, sweep.preset, run)
    records = []
    for run, error in runs.items():
        content = read_json(folder_of(folder, RUNS, run) / "failure.json")
        stage, step, attempts = (content.get(name) for name in ("stage", "step", "attempts"))
        where = f"in {stage}, step {step}, attempt {attempts}" if stage else "where is not recorded"
        traceback = str(content.get("traceback") or "No traceback was recorded.")
        records.append(Failure(run, rows.get(run, []), where, error, traceback, *commands.get(run, ("", ""))))
    return records


def _command_or_why(config: Mapping[str, Any], name: str, run: str) -> tuple[str, str]:
    try:
        return command_of(config, name, run), ""
    except ConfigError as problem:
        return "", str(problem)


@dataclass(frozen=True)
class Cost:
    """Hours of all runs on one kind of device, a pre-training stage that several runs shared counted once."""

    device: str
    runs: int
    stages: int
    pretrain: float
    finetune: float
    evaluate: float
    steps: int
    gflop: float

    @property
    def hours(self) -> float:
        return self.pretrain + self.finetune + self.evaluate


def costs(runs: Iterable[Run]) -> list[Cost]:
    """One Cost per kind of device; hours are device hours: time by number of devices."""
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        kinds.setdefault(run.device, []).append(run)
    return [_cost(device, members) for device, members in sorted(kinds.items())]


def _cost(device: str, runs: list[Run]) -> Cost:
    stages = {run.pretrain: run for run in runs if run.pretrain}.values()
    return Cost(
        device=device,
        runs=len(runs),
        stages=len(stages),
        pretrain=sum(_hours(run, "pretrain") for run in stages),
        finetune=sum(_hours(run, "finetune") for run in runs),
        evaluate=sum(_hours(run, "evaluate") for run in runs),
        steps=sum(int(run.cost.get("pretrain_steps") or 0) for run in stages),
        gflop=sum(float(run.cost.get("pretrain_gflop") or 0) for run in stages),
    )


def _hours(run: Run, stage: str) -> float:
    return float(run.cost.get(f"{stage}_seconds") or 0) * int(run.cost.get("devices") or 1) / 3600
