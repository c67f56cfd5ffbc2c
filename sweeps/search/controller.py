"""The controller of a search: draws points when runs can be started, and prunes or promotes trials at each rung."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from simvtp.config.schema import flatten
from simvtp.errors import ConfigError
from simvtp.runtime import heartbeat
from simvtp.runtime.files import write_json
from sweeps.executors.base import Executor
from sweeps.executors.slurm import Slurm
from sweeps.scheduler.controller import RETRY_SECONDS, Controller
from sweeps.search.display import SearchScreen
from sweeps.search.spec import SearchSpec
from sweeps.search.trials import Trials
from sweeps.state.run_states import RunRegistry
from sweeps.study.storage import Unreachable

log = logging.getLogger(__name__)

CANCELLED = "cancelled"  # a file: no more points are drawn
PATIENCE_SECONDS = 12 * 3600.0  # wait for a database that does not answer


class SearchController(Controller):
    """A controller whose plan grows: it contains the rungs that the trials have reached.

    spec: the search. registry: of the results folder. trials: its study. executor: starts the runs. command: the
    command line, recorded in search.json.
    """

    def __init__(
        self, spec: SearchSpec, registry: RunRegistry, trials: Trials, executor: Executor, command: str
    ) -> None:
        super().__init__(spec.plan(), registry, trials, executor, SearchScreen(), heartbeat.limit_seconds())
        self.spec, self.trials, self.command = spec, trials, command
        self.at_once = runs_at_once(executor)
        self.recorded = -1
        self._open()

    def _poll(self) -> None:
        while True:  # until the study has recorded every end: the loop ends when no run is open
            try:
                super()._poll()
                while self.trials.settle() or self._ask():
                    self._open()
                    super()._poll()
                return
            except Unreachable as error:
                self._wait_for(error)

    def _ask(self) -> bool:
        """Draw points until enough runs are open; whether any was drawn."""
        seeds, busy = len(self.spec.space.seeds), len(self.open)
        wanted = min(-(-(self.at_once - busy) // seeds), self.spec.trials - self.trials.chosen)
        if self.ended.exists():
            wanted = 0
        for _ in range(wanted):
            self.trials.ask()
        if self.recorded != self.trials.chosen:
            write_json(self.folder / "search.json", record(self.spec, self.trials, self.command))
            self.recorded = self.trials.chosen
        return wanted > 0

    def _open(self) -> None:
        """Add the runs of the current rungs that are not over to the plan and to the open runs."""
        current = [run for trial in self.trials.running() for run in trial.current_runs]
        pending = {run.id: run for run in current if run.id not in self.trials.outcomes}
        self.registry.prepare(run for run in pending.values() if run.id not in self.plan.runs)
        self.plan.runs = pending | self.plan.runs
        self.open = pending | self.open

    def _wait_for(self, error: Exception) -> None:
        """Wait until the database answers again, then read the study anew. Jobs continue meanwhile."""
        until = time.monotonic() + PATIENCE_SECONDS
        database = self.spec.database
        assert database is not None
        cause = error.__cause__ or error  # Optuna's own text guesses
        text = next(iter(database.hidden(str(cause)).splitlines()), type(cause).__name__)
        log.warning(f"{database}: {text}; trying again until it answers")
        while True:
            time.sleep(RETRY_SECONDS)
            try:
                self.trials.reload()
                return
            except (ConfigError, *Unreachable):
                if time.monotonic() > until:
                    raise ConfigError(f"--storage {database}: no answer for hours; the same command goes on") from None

    @property
    def folder(self) -> Path:
        return self.registry.results / "sweeps" / self.spec.folder

    @property
    def ended(self) -> Path:
        """The file that --cancel of the whole search makes: while it exists, no more points are drawn."""
        return self.folder / CANCELLED


def record(spec: SearchSpec, trials: Trials, command: str) -> dict[str, Any]:
    """The content of search.json: the space, and the points so far, from which a lost study is rebuilt."""
    own = spec.space.search
    return {
        "version": 1, "name": spec.name, "preset": spec.preset, "title": own.title, "command": command,
        "storage": str(spec.database) if spec.database else "study.journal",
        "space": {key: values._asdict() for key, values in spec.space.ranges.items()}, "sampler": own.sampler,
        "objectives": spec.space.objectives,
        "constraints": {part.measure.name: {"at_most_of_base": part.factor} for part in own.constraints},
        "budget": own.budget, "rungs": [str(share) for share in own.shares],
        "base": {key: value for key, value in flatten(spec.space.base).items() if key != "seed"},
        "seeds": list(spec.space.seeds), "trials": trials.points(),
    }  # fmt: skip


def runs_at_once(executor: Executor) -> int:
    """How many runs are open at the same time: a point is drawn only when it can start, with all results until then."""
    queued = executor.cluster.parallel * executor.cluster.pack if isinstance(executor, Slurm) else executor.capacity
    return min(queued, executor.capacity)
