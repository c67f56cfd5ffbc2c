"""Device hours of a sweep: spent by its finished runs, and expected for the others."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from simvtp.config.run_dirs import RUNS, folders_of
from simvtp.models.flops import pretrain_gflop
from sweeps.plan import Plan, Run
from sweeps.state.run_states import RunRegistry, RunState, device_hours

EARLIER = 1000  # most results that an estimate uses


def hours_spent(plan: Plan, states: Mapping[str, RunState]) -> float:
    """Device hours of the finished runs of a plan; a shared pre-training counts once."""
    total, stages = 0.0, set[str]()
    for run in plan.runs.values():
        summary = states[run.id].summary
        if summary is None:
            continue
        total += summary.hours
        if run.stage is not None and run.stage not in stages:
            stages.add(run.stage)
            total += summary.pretrain_hours
    return total


def cost_line(plan: Plan, states: Mapping[str, RunState]) -> str:
    """One line with the device hours of the plan's finished runs."""
    summaries = [state.summary for state in states.values() if state.summary is not None]
    devices = " and ".join(sorted({summary.device for summary in summaries})) or "no device"
    return f"cost: {hours_spent(plan, states):.2f} hours of {devices} for {len(summaries)} runs"


@dataclass(frozen=True)
class Rates:
    """Medians of earlier results of a preset, in hours. scaled: of pre-training, for one GFLOP; None: unknown."""

    results: int
    pretrain: float
    scaled: float | None
    rest: float


def earlier_rates(registry: RunRegistry, preset: str) -> Rates | None:
    """Rates from the results of the preset in this folder; None if there is none."""
    before, scaled, rest = [], [], []
    for result in islice(_earlier(registry, preset), EARLIER):
        hours = device_hours(result["cost"])
        rest.append(hours[1])
        if hours[0]:
            before.append(hours[0])
            if result["cost"].get("pretrain_gflop"):
                scaled.append(hours[0] / float(result["cost"]["pretrain_gflop"]))
    if not rest:
        return None
    middle = statistics.median
    return Rates(len(rest), middle(before) if before else 0.0, middle(scaled) if scaled else None, middle(rest))


def _earlier(registry: RunRegistry, preset: str) -> Iterator[Mapping[str, Any]]:
    for folder in folders_of(registry.results, RUNS):
        result = registry.result(folder.name)
        if result is not None and result.get("preset") == preset:
            yield result


def expected(rates: Rates, registry: RunRegistry, runs: list[Run]) -> float:
    """Expected device hours of these runs; each unfinished pre-training stage counts once."""
    total, stages = 0.0, set[str]()
    for run in runs:
        total += rates.rest
        if run.stage is None or run.stage in stages or registry.is_pretrained(run.stage):
            continue
        stages.add(run.stage)
        number, _, unit = run.config.pretrain.length.partition(" ")
        if rates.scaled is not None and unit.startswith("step") and run.config.is_pretrained:
            total += rates.scaled * pretrain_gflop(run.config) * int(number)
        else:
            total += rates.pretrain
    return total


def forecast(registry: RunRegistry, preset: str, runs: list[Run]) -> str:
    """One line with the expected device hours of runs that would start."""
    rates = earlier_rates(registry, preset)
    if rates is None:
        return f"expected hours: unknown, as there is no result of preset {preset} in this folder yet"
    hours = expected(rates, registry, runs)
    return f"expected: {hours:.2f} hours of one device, by {rates.results} earlier results of preset {preset}"
