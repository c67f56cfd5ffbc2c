"""The controller of a sweep: submits missing runs, watches their jobs, records the ends of runs."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from sweeps.executors.base import Executor, JobEnd, Refused
from sweeps.plan import Plan, Run
from sweeps.scheduler.display import Screen
from sweeps.scheduler.watchdog import DiskWatch, HangWatch, Hung
from sweeps.state.failures import is_full, read_deaths, record_death
from sweeps.state.run_states import RunRegistry, RunState

log = logging.getLogger(__name__)

ALIKE = 3  # this many equal failures before any run is done stop the sweep
IDLE_SECONDS = 10.0  # between two polls of the folders of runs without a job
RETRY_SECONDS = 30.0  # after a refusal that is temporary
ACCOUNTING_SECONDS = 15 * 60.0  # wait for the accounting to report how a job ended
OVER = ("done", "failed")


class Vanished(RuntimeError):
    """A job ended without a result and without an error of its own."""


class Stopped(RuntimeError):
    """The first failures were equal: no more runs are started."""


class Study(Protocol):
    """What a controller reports its runs to."""

    def tell(self, run: str, state: RunState) -> None:
        """A run is done or failed."""

    def update(self, states: Mapping[str, RunState]) -> None:
        """The states of all runs, after every poll."""

    def reload(self) -> None:
        """A write failed: read again what is on disk."""


class Controller:
    """The loop of one command. The state of a run is read from its folder, never assumed.

    plan: the runs. registry: of the results folder. study: receives the ends of runs. executor: starts the runs.
    screen: shows their states. hung_seconds: a job without a step for so long is killed and its run tried again; 0:
    never.
    """

    def __init__(
        self, plan: Plan, registry: RunRegistry, study: Study, executor: Executor, screen: Screen,
        hung_seconds: float = 0.0,
    ) -> None:  # fmt: skip
        self.plan, self.registry, self.study, self.executor, self.screen = plan, registry, study, executor, screen
        self.active: dict[str, Any] = {}  # run -> its job
        self.states: dict[str, RunState] = {}
        self.open = dict(plan.runs)  # runs that are not over
        self.polled = -IDLE_SECONDS  # when runs without a job were last polled
        self.hold_until = 0.0  # nothing is submitted before this time
        self.failures: dict[str, str] = {}  # run or stage that failed under this controller -> error without numbers
        self.undecided: dict[str, float] = {}  # run -> since when the accounting has not reported its job's end
        self.hangs, self.disk = HangWatch(registry, hung_seconds), DiskWatch(registry.results)

    def run(self) -> dict[str, RunState]:
        """Loop until every run is done or failed; returns their last states. Raises Stopped."""
        runs = [run for run in self.plan.runs.values() if self.registry.result(run.id) is None]
        self.active = self.executor.attach(runs)
        with self.screen:
            while True:
                try:
                    self._poll()
                    self._submit_ready()
                    self.study.update(self.states)
                except OSError as error:
                    if not is_full(error):
                        raise
                    log.warning(f"{error}; the sweep goes on when there is room")
                    time.sleep(RETRY_SECONDS / 3)
                    self.study.reload()
                self.screen.show(self.plan, self.states, set(self.active))
                if not self.open:
                    return self.states
                time.sleep(self.executor.poll_seconds)

    def stop(self) -> None:
        """Stop the jobs of this controller; they write a checkpoint."""
        self.executor.stop(list(self.active.values()))

    def _poll(self) -> None:
        idle = time.monotonic() - self.polled >= IDLE_SECONDS
        if idle:
            self.polled = time.monotonic()
            self.disk.poll()
        for run in list(self.open.values()):
            before, job = self.states.get(run.id), self.active.get(run.id)
            if job is None and before is not None and not idle:
                continue
            pending = job is not None and self.executor.is_pending(job)
            state = self._read_pending(run, job) if pending else self._read(run, job)
            self.states[run.id] = state
            if before is None or before.name != state.name:
                self.screen.report_change(run, before, state)
            if state.name in OVER and run.id not in self.active:
                self.study.tell(run.id, state)
                del self.open[run.id]
                if state.failure is not None and before is not None:
                    self._check_alike(run, state)

    def _read_pending(self, run: Run, job: Any) -> RunState:
        """State of a run whose job is pending: it may depend on a job that hangs in its pre-training."""
        maker = self.executor.stage_job(run, job)
        if maker == job or self.executor.is_pending(maker) or self.executor.is_over(maker):
            self.hangs.forget(run)  # time in the queue does not count
        elif self.hangs.is_hung(silent := self.hangs.silent_seconds(run)):
            self._kill_hung(run, job, self.registry.state(run), silent)
        return RunState("queued")

    def _read(self, run: Run, job: Any) -> RunState:
        gone = job is not None and self.executor.is_over(job)
        state = self.registry.state(run)  # read after `is_over`, so that it includes the job's last writes
        if gone:
            self._record_job_death(run, state)
            return self.registry.state(run)
        if job is None and state.name in ("waiting", "interrupted"):
            return self.registry.state(run) if self.registry.fail_with_stage(run) else state
        if state.name == "running" or (job is not None and state.name in ("waiting", "interrupted")):
            silent = self.hangs.silent_seconds(run)
            if self.hangs.is_hung(silent):
                self._kill_hung(run, job, state, silent)
                return self.registry.state(run)
            return replace(state, name="running")
        if job is not None and state.name in OVER and self.hangs.is_hung(self.hangs.silent_seconds(run)):
            self._end_leftover(run, job, state)
        cancelled = state.name == "failed" and (state.failure or {}).get("kind") == "cancelled"
        if job is not None and cancelled and sum(other == job for other in self.active.values()) == 1:
            self.executor.stop([job])  # of several runs in one job, the job itself stops the one
        return state

    def _stage_in_work(self, run: Run) -> str | None:
        """The unfinished pre-training of the run; None if it is done or the run has none."""
        return run.stage if run.stage is not None and not self.registry.is_pretrained(run.stage) else None

    def _record_job_death(self, run: Run, state: RunState) -> None:
        """Count a job that ended without result, failure or process as a death.

        It is counted for the pre-training if that is unfinished and its job is over too, else for the run.
        """
        job = self.active[run.id]
        if state.name in ("done", "failed", "running") or self.registry.fail_with_stage(run):
            self._forget_job(run)
            return
        folder, name, cause = self.registry.folder(run.id), "finetune", job
        stage = self._stage_in_work(run)
        if stage is not None:
            stage_job = self.executor.stage_job(run, job)
            if self.executor.is_over(stage_job):
                folder, name, cause = self.registry.stage_folder(stage), "pretrain", stage_job
        known = {self.executor.describe(job), self.executor.describe(cause)}
        folders = {folder, self.registry.folder(run.id)}
        if any(death["job"] in known for path in folders for death in read_deaths(path)):
            self._forget_job(run)
            self.registry.fail_with_stage(run)
            return
        end = self.executor.end_of(cause)
        if end == JobEnd.UNKNOWN:
            since = self.undecided.setdefault(run.id, time.monotonic())
            if time.monotonic() - since < ACCOUNTING_SECONDS:
                return
        output = self.executor.log_path(cause)
        where = f"; its output is in {output}" if output else ""
        error = Vanished(f"{self.executor.describe(cause)} ended without a result{where}")
        external = end != JobEnd.OWN
        record_death(folder, name, error, self.executor.describe(cause), output, external=external)
        self._forget_job(run)
        self.registry.fail_with_stage(run)

    def _kill_hung(self, run: Run, job: Any, state: RunState, silent: float) -> None:
        """Count a death and kill the job, or the process of an earlier controller on this machine.

        If a job has several runs, the job itself ends the one that hangs (sweeps/executors/job.py).
        """
        stage = self._stage_in_work(run)
        folder, cause = self._worker(run, job)
        name = self.executor.describe(cause) if cause is not None else str(state.owner)
        output = self.executor.log_path(cause) if cause is not None else None
        if not any(death["job"] == name for death in read_deaths(folder)):
            log.warning(f"run {run.id} ({run.label}): no step for {silent / 60:.0f} minutes; {name} is killed")
            error = Hung(f"{name} made no step for {silent / 60:.1f} minutes and was killed")
            record_death(folder, "finetune" if stage is None else "pretrain", error, name, output)
        if cause is not None and self._others_work(folder, cause):
            return
        if cause is not None:
            self.executor.kill(cause)
        elif state.owner is not None:
            self.hangs.kill_process(state.owner)
        self.hangs.forget(run)

    def _end_leftover(self, run: Run, job: Any, state: RunState) -> None:
        """Kill a job that does not end although its run is over, unless other runs are at work in it."""
        if not self._others_work(self.registry.folder(run.id), job):
            name = self.executor.describe(job)
            log.warning(f"run {run.id} ({run.label}) is {state.name}, but {name} does not end; it is killed")
            self.executor.kill(job)
            self.hangs.forget(run)

    def _worker(self, run: Run, job: Any) -> tuple[Path, Any]:
        """Folder and job that work for a run: of its pre-training while that is unfinished, else of the run."""
        stage = self._stage_in_work(run)
        if stage is None:
            return self.registry.folder(run.id), job
        return self.registry.stage_folder(stage), None if job is None else self.executor.stage_job(run, job)

    def _others_work(self, folder: Path, job: Any) -> bool:
        """Whether a job makes progress with a run or stage other than that of this folder."""
        for name, its in self.active.items():
            run, state = self.plan.runs[name], self.states.get(name)
            if (state is None or state.name not in OVER) and self._worker(run, its)[1] == job:
                hangs = self.hangs.is_hung(self.hangs.silent_seconds(run))
                if not hangs and self._worker(run, its)[0] != folder:
                    return True
        return False

    def _forget_job(self, run: Run) -> None:
        del self.active[run.id]
        self.undecided.pop(run.id, None)
        self.hangs.forget(run)

    def _check_alike(self, run: Run, state: RunState) -> None:
        """Raise Stopped if the first failures are equal; a failed shared pre-training counts once."""
        failure = state.failure or {}
        cause = run.stage if failure.get("pretrain") and run.stage else run.id
        error = str(failure.get("error"))
        self.failures[cause] = re.sub(r"[0-9a-f]{12}|[0-9.]+", "#", error.removeprefix(f"pre-training {run.stage}: "))
        done = any(state.name == "done" for state in self.states.values())
        if len(self.failures) >= ALIKE and len(set(self.failures.values())) == 1 and not done:
            raise Stopped(f"the first {len(self.failures)} failures are alike, and nothing is done: {error}")

    def _submit_ready(self) -> None:
        """Submit runs that can start; without a queue, only one run of each unfinished pre-training."""
        if time.monotonic() < self.hold_until:
            return
        making = {self.plan.runs[run].stage for run in self.active} if not self.executor.has_queue else set()
        chosen: list[Run] = []
        for run in self.open.values():
            if len(self.active) + len(chosen) >= self.executor.capacity:
                break
            if run.id in self.active or self.states[run.id].name not in ("waiting", "interrupted"):
                continue
            if run.stage is not None and not self.executor.has_queue and not self.registry.is_pretrained(run.stage):
                if run.stage in making:
                    continue
                making.add(run.stage)
            chosen.append(run)
        if chosen:
            self._submit(chosen)

    def _submit(self, chosen: list[Run]) -> None:
        try:
            jobs = self.executor.submit(chosen)
        except Refused as error:
            if not error.transient:
                raise
            log.warning(f"{error}; trying again in {RETRY_SECONDS:.0f} seconds")
            self.hold_until = time.monotonic() + RETRY_SECONDS
            return
        self.active |= jobs
        if len(jobs) < len(chosen):  # some wait for a pre-training that another sweep does
            self.hold_until = time.monotonic() + IDLE_SECONDS
