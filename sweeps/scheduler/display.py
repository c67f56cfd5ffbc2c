"""Output of a sweep: its plan, the state of its runs, the results."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from simvtp.cli import is_console_script
from simvtp.runtime.log import stdout_console
from sweeps.plan import Plan, Run
from sweeps.state.cost_estimate import hours_spent
from sweeps.state.run_states import STATES, RunState, RunSummary

ROOT = Path(__file__).resolve().parents[2]


def show(shown: Console, text: str) -> None:
    """Print one line unwrapped."""
    shown.print(text, highlight=False, markup=False, soft_wrap=True)


def script(name: str) -> str:
    """The command that runs a script such as analysis/plot.py: by the installed `simvtp`, or by its path from here."""
    if is_console_script():
        return f"simvtp {Path(name).stem}"
    return f"python {name if Path.cwd() == ROOT else ROOT / name}"


def command_line(words: Sequence[str]) -> str:
    """The command of a sweep as records keep it: by the user's way to call, with its arguments."""
    return shlex.join([*(("simvtp", "sweep") if is_console_script() else ("python", "sweeps/run.py")), *words])


class Screen:
    """A live table on a terminal; elsewhere a line for each change."""

    def __init__(self, shown: Console | None = None) -> None:
        self.console = shown or stdout_console()
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

    def show(self, plan: Plan, states: Mapping[str, RunState], active: set[str]) -> None:
        if self.live.is_started:
            only = active | {run for run, state in states.items() if state.owner}
            self.update(status_table(plan, states, only=only, most=self.console.height))

    def update(self, table: Table) -> None:
        """Replace the table that is shown."""
        self.live.update(table, refresh=True)

    def score(self, summary: RunSummary) -> str:
        """The score of a finished run, as text."""
        return f"R@1 {summary.test:.1f}"

    def report_change(self, run: Run, before: RunState | None, state: RunState) -> None:
        """Print a line when the state of a run changes; of first states, only running and failed ones."""
        if before is None and state.name in ("waiting", "done", "interrupted", "queued"):
            return
        text = f"{time.strftime('%H:%M:%S')} {run.label}, seed {run.seed} ({run.id}): {state.name}"
        if state.summary is not None:
            text += f", {self.score(state.summary)}"
        if state.failure is not None:
            text += f", {state.failure['error']}"
        show(self.console, text)
        sys.stdout.flush()


COLUMNS = ("run", "point", "seed", "state", "stage", "step", "epoch", "loss", "R@1", "last line", "left", "hours")
LEFT = ("run", "point", "state", "stage")
WHOLE = ("run", "state", "step", "loss", "R@1")  # on a narrow terminal the others are cut
ORDER = ("running", "failed", "interrupted", "queued", "waiting", "done")


def status_table(
    plan: Plan, states: Mapping[str, RunState], only: set[str] | None = None, most: int | None = None
) -> Table:
    """A row a run: state, stage, step, epoch, loss, R@1 so far, age of the last log line, time left, hours of a device.

    only: ids of the runs to show; None: all. most: lines of the screen; if there are more runs, running and failed ones
    are shown first, and the number of the others is given.
    """
    counts = Counter(state.name for state in states.values())
    summary = ", ".join(f"{counts[name]} {name}" for name in STATES if counts[name])
    title = f"{plan.folder}: {summary}; {hours_spent(plan, states):.2f} hours of a device so far"
    runs = [run for run in plan.runs.values() if only is None or run.id in only]
    hidden = 0
    if most is not None and len(runs) > most - 6:
        runs.sort(key=lambda run: ORDER.index(states[run.id].name))
        hidden, runs = len(runs) - max(1, most - 7), runs[: max(1, most - 7)]
    table = Table(title=title, title_justify="left", caption=f"and {hidden} more" if hidden else None)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=name in WHOLE)
    for run in runs:
        table.add_row(run.id, run.label, str(run.seed), *_cells(states[run.id]))
    return table


def _cells(state: RunState) -> list[str]:
    line = state.line if state.summary is None else {}
    hours = ""
    if state.summary is not None:
        hours = f"{state.summary.pretrain_hours + state.summary.hours:.2f}"
    elif "since" in line:
        hours = f"{(line['time'] - line['since']) / 3600:.2f}"
    score = line.get("R@1") if state.summary is None else state.summary.test
    return [
        f"{state.name} ({state.reason})" if state.reason not in ("", "None") else state.name,
        str(line.get("stage", "")),
        f"{line['step']}/{line['steps']}" if "steps" in line else "",
        f"{line['epoch']:.1f}" if "epoch" in line else "",
        f"{line['loss']:.3f}" if "loss" in line else "",
        f"{score:.1f}" if score is not None else "",
        f"{max(0, time.time() - line['time']):.0f} s ago" if "time" in line else "",
        f"{line['seconds_left']:.0f} s" if "seconds_left" in line and state.name == "running" else "",
        hours,
    ]


def plan_table(plan: Plan, states: Mapping[str, RunState]) -> Table:
    """Every run of a plan with its ids and what the command would do with it."""
    would = {"done": "cached", "failed": "failed: --retry failed", "running": "running",
             "interrupted": "would continue", "queued": "submitted"}  # fmt: skip
    shared = plan.shared_stages()
    table = Table(title=f"{plan.folder}: {len(plan.runs)} run{'s' * (len(plan.runs) != 1)}", title_justify="left")
    for name in ("point", "seed", "run", "pre-training", "what"):
        table.add_column(name)
    for run in plan.runs.values():
        stage = "none" if run.stage is None else run.stage + (" (shared)" if run.stage in shared else "")
        table.add_row(run.label, str(run.seed), run.id, stage, would.get(states[run.id].name, "would start"))
    return table


def result_table(plan: Plan, states: Mapping[str, RunState]) -> Table:
    """Mean test R@1 of each point over the seeds of this command."""
    table = Table(title="text-to-video R@1 on the test gallery, percent", title_justify="left")
    for name in ("sweep", "point", "R@1", "seeds"):
        table.add_column(name, justify="right" if name in ("R@1", "seeds") else "left")
    for part in plan.tables:
        for number, point in enumerate(part.points):
            summaries = [states[run].summary for run in part.of(number)]
            scores = [summary.test for summary in summaries if summary is not None]
            mean = f"{sum(scores) / len(scores):.1f}" if scores else "-"
            table.add_row(part.name, point.label, mean, f"{len(scores)} of {len(plan.seeds)}")
    return table
