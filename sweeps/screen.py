"""What a person sees of a sweep: the plan, the runs at work, the end."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sweeps.ledger import STATES, State
from sweeps.plan import Plan, Run


def console() -> Console:
    """Of the terminal's width; wide where there is no terminal, since a log can be scrolled."""
    made = Console()
    return made if made.is_terminal else Console(width=140)


class Screen:
    """A live table on a terminal; elsewhere a line for each change."""

    def __init__(self) -> None:
        self.console = console()
        self.live = Live(console=self.console, refresh_per_second=2, transient=True)

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live.is_started:
            self.live.stop()

    def show(self, plan: Plan, states: Mapping[str, State], active: set[str]) -> None:
        if self.live.is_started:
            self.live.update(status_table(plan, states, only=active | {r for r, s in states.items() if s.owner}))

    def say(self, run: Run, before: State | None, state: State) -> None:
        """One line when a run changes; the first look at a sweep says only what is not simply waiting."""
        if before is None and state.name in ("waiting", "done", "interrupted"):
            return
        text = f"{time.strftime('%H:%M:%S')} {run.label}, seed {run.seed} ({run.id}): {state.name}"
        if state.result is not None:
            text += f", R@1 {recall(state.result):.1f}"
        if state.failure is not None:
            text += f", {state.failure['error']}"
        self.console.print(text, highlight=False, soft_wrap=True)
        sys.stdout.flush()


def recall(result: Mapping[str, Any]) -> float:
    """Text-to-video R@1 on the test gallery, percent."""
    return float(result["metrics"]["test"]["text_to_video"]["R@1"])


def status_table(plan: Plan, states: Mapping[str, State], only: set[str] | None = None) -> Table:
    """A row a run: state, stage, step, loss, R@1, age of the last log line, time left."""
    counts = Counter(state.name for state in states.values())
    title = f"{plan.folder}: " + ", ".join(f"{counts[name]} {name}" for name in STATES if counts[name])
    table = Table(title=title, title_justify="left")
    for name in ("run", "point", "seed", "state", "stage", "step", "loss", "R@1", "last line", "left"):
        table.add_column(
            name, justify="right" if name in ("seed", "step", "loss", "R@1", "last line", "left") else "left"
        )
    for run in plan.runs.values():
        if only is not None and run.id not in only:
            continue
        state = states[run.id]
        line = state.line if state.result is None else {}
        step = f"{line['step']}/{line['steps']}" if "steps" in line else ""
        table.add_row(
            run.id, run.label, str(run.seed), state.name, str(line.get("stage", "")), step,
            f"{line['loss']:.3f}" if "loss" in line else "",
            f"{recall(state.result):.1f}" if state.result else "",
            f"{max(0, time.time() - line['time']):.0f} s ago" if "time" in line else "",
            f"{line['seconds_left']:.0f} s" if "seconds_left" in line and state.name == "running" else "",
        )  # fmt: skip
    return table


def plan_table(plan: Plan, states: Mapping[str, State]) -> Table:
    """Every run of a plan with its ids and what would become of it."""
    would = {"done": "cached", "failed": "failed: --retry failed", "running": "running", "interrupted": "would go on"}
    shared = plan.shared_stages()
    table = Table(title=f"{plan.folder}: {len(plan.runs)} runs", title_justify="left")
    for name in ("point", "seed", "run", "pre-training", "what"):
        table.add_column(name)
    for run in plan.runs.values():
        stage = "none" if run.stage is None else run.stage + (" (shared)" if run.stage in shared else "")
        table.add_row(run.label, str(run.seed), run.id, stage, would.get(states[run.id].name, "would start"))
    return table


def result_table(plan: Plan, states: Mapping[str, State]) -> Table:
    """Mean test R@1 of each point over the seeds of this command."""
    table = Table(title="text-to-video R@1 on the test gallery, percent", title_justify="left")
    for name in ("sweep", "point", "R@1", "seeds"):
        table.add_column(name, justify="right" if name in ("R@1", "seeds") else "left")
    for part in plan.tables:
        for number, point in enumerate(part.points):
            found = [states[part.runs[number, seed]].result for seed in plan.seeds]
            scores = [recall(result) for result in found if result is not None]
            mean = f"{sum(scores) / len(scores):.1f}" if scores else "-"
            table.add_row(part.name, point.label, mean, f"{len(scores)} of {len(plan.seeds)}")
    return table
