"""`python sweeps/run.py search`: chooses points, trains them rung by rung, prunes; goes on after any interruption."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console

from simvtp.config.schema import Config, flatten
from simvtp.errors import ConfigError
from simvtp.runtime.files import write_json
from simvtp.runtime.locks import Busy, Lock, holder
from sweeps.definition import find_search
from sweeps.executors.base import Place, place
from sweeps.executors.slurm import Slurm
from sweeps.plan import Plan, suffix_of
from sweeps.scheduler import control
from sweeps.scheduler.controller import AGAIN_SECONDS, Controller
from sweeps.scheduler.display import Screen
from sweeps.scheduler.run_sweep import detach, drive, heed_signals, prepare
from sweeps.search.display import SearchScreen, intended, search_table, sum_up, with_runs
from sweeps.search.space import Space, chosen_axes, shares_of
from sweeps.search.trials import Trials
from sweeps.state.run_states import Ledger, is_retried
from sweeps.study import storage
from sweeps.study.password import VARIABLE, words_without
from sweeps.study.storage import Copy, Database, Journal, Unreachable

TRIALS = 40
CANCELLED = "cancelled"  # a file: nothing new is to be chosen
WATCH_SECONDS = 5.0
PATIENCE_SECONDS = 12 * 3600.0  # for a database that does not answer


@dataclasses.dataclass(frozen=True)
class Quest:
    """A search as a command asks for it. trials: how many points in all; folder: of its study, by its settings."""

    name: str
    space: Space
    preset: str
    trials: int
    database: Database | None

    @property
    def folder(self) -> str:
        usual, own = find_search(self.name), self.space.search
        more: dict[str, Any] = {}
        if own.axes != usual.axes:
            more["search.over"] = [axis.key for axis in own.axes]
        if own.shares != usual.shares:
            more["search.rungs"] = [str(share) for share in own.shares]
        if own.budget != usual.budget and len(own.shares) > 1:
            more["search.budget"] = own.budget
        if self.space.seeds != (0,):
            more["search.seeds"] = list(self.space.seeds)
        return self.name + suffix_of(self.preset, self.space.base, more)

    def plan(self) -> Plan:
        """Of no runs yet."""
        return Plan(self.name, self.folder, self.preset, self.space.base, self.space.seeds)

    def study(self, ledger: Ledger) -> Trials:
        """The study, to be written to; the caller holds the lock of the folder."""
        folder = ledger.results / "sweeps" / self.folder
        return Trials(self.space, folder, self._place(folder))

    def look(self, ledger: Ledger) -> Trials:
        """The study as it is at the moment; what is written to it is lost."""
        folder = ledger.results / "sweeps" / self.folder
        return Trials(self.space, folder, Copy(self._place(folder), self.folder))

    def _place(self, folder: Path) -> Database | Journal:
        return self.database or Journal((folder / "study.journal").resolve())


def quest(arguments: argparse.Namespace, base: Config, seeds: tuple[int, ...]) -> Quest:
    """The search of a command line; raises ConfigError."""
    found = find_search(arguments.sweep)
    if arguments.over is not None:
        found = dataclasses.replace(found, axes=chosen_axes(found.axes, arguments.over))
    if arguments.rungs is not None:
        found = dataclasses.replace(found, shares=shares_of(arguments.rungs))
    if arguments.budget is not None:
        found = dataclasses.replace(found, budget=arguments.budget)
    space = Space(found, base, seeds)
    return Quest(arguments.sweep, space, arguments.preset, arguments.trials or TRIALS,
                 storage.chosen(arguments.storage))  # fmt: skip


class Searcher(Controller):
    """A controller whose runs come one by one: the rungs of the trials that are under way."""

    def __init__(self, quest: Quest, ledger: Ledger, trials: Trials, where: Place, at_once: int, command: str) -> None:
        super().__init__(quest.plan(), ledger, trials, where, SearchScreen())
        self.quest, self.trials, self.at_once, self.command = quest, trials, at_once, command
        self.recorded = -1
        self._open()

    def _look(self) -> None:
        while True:  # until the study has taken it all in: with no run open, the search would be over
            try:
                super()._look()
                while self.trials.settle() or self._ask():
                    self._open()
                    super()._look()
                return
            except Unreachable as error:
                self._wait_for(error)

    def _ask(self) -> bool:
        """Choose points until enough runs are at work; whether there was need of one."""
        seeds, busy = len(self.quest.space.seeds), len(self.open)
        wanted = min(-(-(self.at_once - busy) // seeds), self.quest.trials - self.trials.asked)
        if self.ended.exists():
            wanted = 0
        for _ in range(wanted):
            self.trials.ask()
        if self.recorded != self.trials.asked:
            write_json(self.home / "search.json", record(self.quest, self.trials, self.command))
            self.recorded = self.trials.asked
        return wanted > 0

    def _open(self) -> None:
        """Take up the runs of the present rungs that nothing is known of."""
        waited = [run for trial in self.trials.under_way() for run in trial.waits_for]
        unknown = {run.id: run for run in waited if run.id not in self.trials.outcomes}
        self.ledger.prepare(run for run in unknown.values() if run.id not in self.plan.runs)
        self.plan.runs = unknown | self.plan.runs
        self.open = unknown | self.open

    def _wait_for(self, error: Exception) -> None:
        """The database does not answer: jobs go on; read the study anew when it does."""
        until = time.monotonic() + PATIENCE_SECONDS
        database = self.quest.database
        assert database is not None
        cause = error.__cause__ or error  # Optuna's own text guesses
        text = next(iter(database.hidden(str(cause)).splitlines()), type(cause).__name__)
        print(f"{database}: {text}; trying again until it answers", file=sys.stderr, flush=True)
        while True:
            time.sleep(AGAIN_SECONDS)
            try:
                self.trials.renew()
                return
            except (ConfigError, *Unreachable):
                if time.monotonic() > until:
                    raise ConfigError(f"--storage {database}: no answer for hours; the same command goes on") from None

    @property
    def home(self) -> Path:
        return self.ledger.results / "sweeps" / self.quest.folder

    @property
    def ended(self) -> Path:
        """There after --cancel of the whole search: nothing new is chosen."""
        return self.home / CANCELLED


def record(quest: Quest, trials: Trials, command: str) -> dict[str, Any]:
    """The content of search.json: what is searched, and the points so far, from which a lost study is made again."""
    own = quest.space.search
    return {
        "version": 1, "name": quest.name, "preset": quest.preset, "title": own.title, "command": command,
        "storage": str(quest.database) if quest.database else "study.journal",
        "space": {key: {"low": found.low, "high": found.high, "step": found.step, "log": found.log}
                  for key, found in quest.space.ranges.items()},
        "budget": own.budget, "rungs": [str(share) for share in own.shares],
        "base": {key: value for key, value in flatten(quest.space.base).items() if key != "seed"},
        "seeds": list(quest.space.seeds), "trials": trials.points(),
    }  # fmt: skip


def carry_out(
    arguments: argparse.Namespace, base: Config, seeds: tuple[int, ...], ledger: Ledger, console: Console,
    words: Sequence[str],
) -> int:  # fmt: skip
    """What a command line asks of a search; gives the exit code."""
    if arguments.storage is not None and storage.parse(arguments.storage).secret:  # of a call from Python
        words = words_without(words, arguments.storage)
    asked = quest(arguments, base, seeds)
    if arguments.dry_run:
        for line in intended(asked.space, asked.look(ledger), asked.trials):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
        return 0
    if arguments.status:
        return show_status(console, asked, ledger, watch=arguments.watch)
    for name in ("log", "why"):
        if getattr(arguments, name) is not None:
            plan = with_runs(asked.plan(), asked.look(ledger))
            run = control.find_run(plan, getattr(arguments, name))
            return control.follow(ledger, run) if name == "log" else control.why(console, plan, ledger, run)
    ledger.check_writable()
    if arguments.cancel is not None:
        return cancel(asked, ledger, arguments.cancel)
    if arguments.detach:
        if asked.database is not None:
            os.environ[VARIABLE] = asked.database.url.render_as_string(hide_password=False)
        left = [word for word in words if word != "--detach"]
        return detach(asked.plan(), ledger, left)
    return search(asked, ledger, arguments, console, shlex.join(["python", "sweeps/run.py", *words]))


def show_status(console: Console, asked: Quest, ledger: Ledger, *, watch: bool) -> int:
    """--status: one screen, from the study and the folder."""
    show = Screen(console) if watch and console.is_terminal else None
    with show or nullcontext():
        while True:
            ledger.queue.refresh()
            trials = asked.look(ledger)
            plan = with_runs(asked.plan(), trials)
            states = ledger.states(plan)
            if show is None:
                console.print(search_table(plan, trials, states, most=console.height if watch else None))
            else:
                show.put(search_table(plan, trials, states, most=console.height))
            if not watch:
                return 0
            time.sleep(WATCH_SECONDS)


def cancel(asked: Quest, ledger: Ledger, which: str) -> int:
    """End a run, whose trial then fails, or all that are at work, and choose no more."""
    plan = with_runs(asked.plan(), asked.look(ledger))
    if which != "all":
        return control.cancel(plan, ledger, [control.find_run(plan, which)])
    mark = ledger.results / "sweeps" / asked.folder / CANCELLED
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    return control.cancel(plan, ledger, list(plan.runs.values()))


def search(quest: Quest, ledger: Ledger, arguments: argparse.Namespace, console: Console, command: str) -> int:
    """Bring the search about and say how it ended; gives the exit code. Where another controller is at it, wait."""
    where = place(arguments.cluster, ledger, quest.preset, arguments.jobs, quest.space.base.machine.threads,
                  arguments.pack)  # fmt: skip
    lock = ledger.results / "sweeps" / quest.folder / "lock"
    heed_signals()
    while True:
        try:
            with Lock(lock):
                trials = _control(quest, ledger, where, arguments, command)
            break
        except Busy:
            _wait_for_other(lock)
    return sum_up(console, quest.plan(), trials, ledger)


def _control(quest: Quest, ledger: Ledger, where: Place, arguments: argparse.Namespace, command: str) -> Trials:
    """Be the search's controller; the caller holds its lock."""
    trials = quest.study(ledger)
    (ledger.results / "sweeps" / quest.folder / CANCELLED).unlink(missing_ok=True)
    if trials.asked < quest.trials or any(trials.under_way()) or arguments.retry:
        run = quest.space.runs(quest.space.base_params() or {}, quest.space.search.shares[-1], "")[0]
        prepare(dataclasses.replace(quest.plan(), runs={run.id: run}))
    for trial in trials.failed():
        runs = [run for rung in trial.rungs for run in rung]
        retried = [run for run in runs if is_retried(ledger.state(run), arguments.retry)]
        for run in retried:
            ledger.retry(run)
        if retried:
            trials.retry(trial)
    drive(Searcher(quest, ledger, trials, where, runs_at_once(where), command))
    trials.close()
    return trials


def runs_at_once(where: Place) -> int:
    """A search chooses a point when there is room to train it: what was learned until then counts."""
    queued = where.cluster.parallel * where.cluster.pack if isinstance(where, Slurm) else where.capacity
    return min(queued, where.capacity)


def _wait_for_other(lock: Path) -> None:
    owner = holder(lock)
    if owner is not None:
        print(f"attached: {owner} does this search; Ctrl-C leaves it at work", file=sys.stderr, flush=True)
    while holder(lock) is not None:
        time.sleep(WATCH_SECONDS)
