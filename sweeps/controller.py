"""Brings a plan about: starts what is missing, waits, records what became of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from sweeps.launch import Place
from sweeps.ledger import Ledger, State
from sweeps.plan import Plan, Run
from sweeps.screen import Screen
from sweeps.study import Study

POLL_SECONDS = 0.5
LIVES = 3  # times that a run's job may vanish without a word before it counts as failed


class Vanished(RuntimeError):
    """A job ended without a result and without saying why."""


class Controller:
    """One command's loop; the state of a run is read from its folder, never assumed."""

    def __init__(self, plan: Plan, ledger: Ledger, study: Study, place: Place, screen: Screen) -> None:
        self.plan, self.ledger, self.study, self.place, self.screen = plan, ledger, study, place, screen
        self.active: dict[str, Any] = {}
        self.states: dict[str, State] = {}
        self.lives: dict[str, int] = {}

    def run(self) -> dict[str, State]:
        """Until every run is done or failed; gives their last states."""
        for run, label in self.ledger.earlier(self.plan).items():
            result = self.ledger.result(run)
            if result is not None:
                self.study.restore(run, label, result)
        with self.screen:
            while True:
                self._look()
                self._start()
                self.screen.show(self.plan, self.states, set(self.active))
                if not self.active and all(state.name in ("done", "failed") for state in self.states.values()):
                    return self.states
                time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End what this controller started; checkpoints are written."""
        self.place.stop(list(self.active.values()))

    def _look(self) -> None:
        for run in self.plan.runs.values():
            before = self.states.get(run.id)
            if before is not None and before.name in ("done", "failed") and run.id not in self.active:
                continue
            gone = run.id in self.active and self.place.over(self.active[run.id])
            state = self.ledger.state(run)  # read after the job was seen to be over: its last word counts
            if gone:
                self._bury(run, state)
                state = self.ledger.state(run)
            elif run.id in self.active and state.name in ("waiting", "interrupted"):
                state = replace(state, name="running")  # its job is there, between two stages
            self.states[run.id] = state
            self.study.tell(run.id, state)
            if before is None or before.name != state.name:
                self.screen.say(run, before, state)

    def _bury(self, run: Run, state: State) -> None:
        """A job is over: count those that ended without result, failure, or another process at work."""
        job = self.active.pop(run.id)
        if state.name in ("done", "failed", "running"):
            return
        self.lives[run.id] = self.lives.get(run.id, 0) + 1
        if self.lives[run.id] >= LIVES:
            output = f"; the last one's output is in {job.paths.stdout}" if job is not None else ""
            error = Vanished(f"its job ended {LIVES} times without a result{output}")
            self.ledger.record_failure(run.id, run.stage, error)

    def _start(self) -> None:
        """Start what can go on: not two runs on one pre-training stage that is still to be made."""
        making = {self.plan.runs[run].stage for run in self.active}
        chosen: list[Run] = []
        for run in self.plan.runs.values():
            if len(self.active) + len(chosen) >= self.place.capacity:
                break
            if run.id in self.active or self.states[run.id].name not in ("waiting", "interrupted"):
                continue
            if run.stage is not None and not self._made(run.stage):
                if run.stage in making:
                    continue
                making.add(run.stage)
            chosen.append(run)
        for run in chosen:
            self.study.begin(run.id)
        if chosen:
            self.active |= self.place.submit(chosen)

    def _made(self, stage: str) -> bool:
        return (self.ledger.results / "pretrained" / stage / "weights.safetensors").exists()
