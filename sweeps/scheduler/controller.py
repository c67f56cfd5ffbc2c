"""Brings a plan about: starts what is missing, waits, records what became of it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from sweeps.executors.base import Place
from sweeps.executors.slurm import Refused
from sweeps.plan import Plan, Run
from sweeps.scheduler.display import Screen
from sweeps.state.failures import deaths, died, is_full
from sweeps.state.run_states import Ledger, State, States

ALIKE = 3  # so many failures of one kind, before any run is done, stop the sweep
IDLE_SECONDS = 10.0  # from one look at the folders of runs that have no job to the next
AGAIN_SECONDS = 30.0
OVER = ("done", "failed")


class Vanished(RuntimeError):
    """A job ended without a result and without saying why."""


class Stopped(RuntimeError):
    """The first failures were all alike: more of the same is not started."""


class Record(Protocol):
    """What a controller tells of its runs: an Optuna study."""

    def begin(self, *runs: str) -> None: ...

    def tell(self, run: str, state: State) -> None: ...

    def restore(self, run: str, label: str, result: Mapping[str, Any]) -> None: ...

    def renew(self) -> None: ...


class Controller:
    """One command's loop; the state of a run is read from its folder, never assumed."""

    def __init__(self, plan: Plan, ledger: Ledger, study: Record, place: Place, screen: Screen) -> None:
        self.plan, self.ledger, self.study, self.place, self.screen = plan, ledger, study, place, screen
        self.active: dict[str, Any] = {}
        self.began: dict[str, float] = {}
        self.states = States()
        self.looked = -IDLE_SECONDS  # when runs without a job were looked at
        self.open = dict(plan.runs)
        self.hold = 0.0  # nothing is submitted before this time
        self.failures: dict[str, str] = {}  # what failed under this controller -> its error, numbers left out

    def run(self) -> States:
        """Until every run is done or failed; gives their last states. Raises Stopped."""
        for run, label in self.ledger.earlier(self.plan).items():
            result = self.ledger.result(run)
            if result is not None:
                self.study.restore(run, label, result)
        self.active = self.place.attach([run for run in self.plan.runs.values() if self.ledger.result(run.id) is None])
        self.began = dict.fromkeys(self.active, 0.0)
        with self.screen:
            while True:
                try:
                    self._look()
                    self._start()
                except OSError as error:
                    if not is_full(error):
                        raise
                    print(f"{error}; the sweep goes on when there is room", file=sys.stderr, flush=True)
                    time.sleep(AGAIN_SECONDS / 3)
                    self.study.renew()
                self.screen.show(self.plan, self.states, set(self.active))
                if not self.open:
                    return self.states
                time.sleep(self.place.poll_seconds)

    def stop(self) -> None:
        """End what this controller started; checkpoints are written."""
        self.place.stop(list(self.active.values()))

    def _look(self) -> None:
        idle = time.monotonic() - self.looked >= IDLE_SECONDS
        if idle:
            self.looked = time.monotonic()
        for run in list(self.open.values()):
            before, job = self.states.get(run.id), self.active.get(run.id)
            if job is None and before is not None and not idle:
                continue
            waits = job is not None and self.place.waits(job)
            state = State("queued") if waits else self._read(run, job)
            self.states[run.id] = state
            if before is None or before.name != state.name:
                self.screen.say(run, before, state)
            if state.name in OVER and run.id not in self.active:
                self.study.tell(run.id, state)
                del self.open[run.id]
                if state.failure is not None and before is not None:
                    self._note_failure(run, state)

    def _read(self, run: Run, job: Any) -> State:
        gone = job is not None and self.place.over(job)
        state = self.ledger.state(run)  # read after the job was seen to be over: its last word counts
        if gone:
            self._bury(run, state)
            return self.ledger.state(run)
        if job is None:
            if state.name in ("waiting", "interrupted") and self.ledger.fail_with_stage(run):
                return self.ledger.state(run)
            return state
        cancelled = state.name == "failed" and (state.failure or {}).get("kind") == "cancelled"
        if cancelled and sum(other == job for other in self.active.values()) == 1:  # of several, the job stops the one
            self.place.stop([job])
        if state.name in ("waiting", "interrupted"):
            return replace(state, name="running")  # its job is there, between two stages
        return state

    def _bury(self, run: Run, state: State) -> None:
        """A job is over: one that left no result, no failure, no other process at work, and no word, is a death."""
        job, began = self.active.pop(run.id), self.began.pop(run.id)
        if state.name in ("done", "failed", "running") or self.ledger.fail_with_stage(run):
            return
        folders = [self.ledger.folder(run.id)]
        unmade = run.stage is not None and not self.ledger.made(run.stage)
        if run.stage is not None and unmade:
            folders.append(self.ledger.stage_folder(run.stage))
        if any(death["time"] >= began for folder in folders for death in deaths(folder)):
            return
        output = self.place.output(job)
        where = f"; its output is in {output}" if output else ""
        error = Vanished(f"{self.place.described(job)} ended without a result{where}")
        if not self.place.outside(job):
            died(folders[-1], "pretrain" if unmade else "finetune", error, self.place.described(job), output)
        self.ledger.fail_with_stage(run)

    def _note_failure(self, run: Run, state: State) -> None:
        """Raise Stopped where the first failures are alike; a shared stage that failed is one failure."""
        failure = state.failure or {}
        cause = run.stage if failure.get("pretrain") and run.stage else run.id
        error = str(failure.get("error"))
        self.failures[cause] = re.sub(r"[0-9a-f]{12}|[0-9.]+", "#", error.removeprefix(f"pre-training {run.stage}: "))
        done = any(state.name == "done" for state in self.states.values())
        if len(self.failures) >= ALIKE and len(set(self.failures.values())) == 1 and not done:
            raise Stopped(f"the first {len(self.failures)} failures are alike, and nothing is done: {error}")

    def _start(self) -> None:
        """Start what can go on: where the place has no queue, not two runs on one stage that is still to be made."""
        if time.monotonic() < self.hold:
            return
        making = {self.plan.runs[run].stage for run in self.active} if not self.place.queues else set()
        chosen: list[Run] = []
        for run in self.open.values():
            if len(self.active) + len(chosen) >= self.place.capacity:
                break
            if run.id in self.active or self.states[run.id].name not in ("waiting", "interrupted"):
                continue
            if run.stage is not None and not self.place.queues and not self.ledger.made(run.stage):
                if run.stage in making:
                    continue
                making.add(run.stage)
            chosen.append(run)
        if chosen:
            self.study.begin(*(run.id for run in chosen))
            self._submit(chosen)

    def _submit(self, chosen: list[Run]) -> None:
        began = time.time()
        try:
            jobs = self.place.submit(chosen)
        except Refused as error:
            if not error.passes:
                raise
            print(f"{error}; trying again in {AGAIN_SECONDS:.0f} seconds", file=sys.stderr, flush=True)
            self.hold = time.monotonic() + AGAIN_SECONDS
            return
        self.active |= jobs
        self.began |= dict.fromkeys(jobs, began)
        if len(jobs) < len(chosen):  # some wait for a stage that another sweep makes
            self.hold = time.monotonic() + IDLE_SECONDS
