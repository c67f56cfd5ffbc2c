"""The controller against an executor whose jobs end as a test says: no run may be tried without limit."""

from __future__ import annotations

import io
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from simvtp.config.presets import preset
from simvtp.runtime import heartbeat
from simvtp.runtime.files import write_json
from sweeps.executors.base import JobEnd, Refused
from sweeps.plan import Plan, Run, make_plan
from sweeps.scheduler import controller as module
from sweeps.scheduler.controller import Controller
from sweeps.scheduler.display import Screen
from sweeps.state.failures import read_deaths, read_failure
from sweeps.state.run_states import RunRegistry
from sweeps.study.grid_study import GridStudy


@dataclass
class Fake:
    """Jobs are numbers; each is over at once. A shared pre-training has a job of its own, submitted with its runs.

    end: how jobs end, by the accounting. work: what a run's job does before it is over. log: output of all jobs.
    """

    registry: RunRegistry
    end: Callable[[str], JobEnd] = lambda job: JobEnd.OWN  # noqa: ARG005
    work: Callable[[Run], None] = lambda run: None  # noqa: ARG005
    separate_stage: bool = True
    lasting: bool = False
    log: Path | None = None
    submissions: list[list[str]] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    refusals: list[Refused] = field(default_factory=list)

    capacity = 1000
    poll_seconds = 0.0
    stops_with_controller = False
    has_queue = True

    def attach(self, runs: Sequence[Run]) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        if self.refusals:
            raise self.refusals.pop(0)
        number = len(self.submissions)
        assert number < 50, "submitted without end"
        self.submissions.append([run.id for run in runs])
        for run in runs:
            self.work(run)
        return {run.id: f"run {run.id} {number}" for run in runs}

    def is_pending(self, job: str) -> bool:  # noqa: ARG002
        return False

    def is_over(self, job: str) -> bool:
        return not self.lasting or job in self.killed

    def end_of(self, job: str) -> JobEnd:
        return self.end(job)

    def stage_job(self, run: Run, job: str) -> str:
        return f"stage {run.stage} {job.split()[-1]}" if self.separate_stage else job

    def describe(self, job: str) -> str:
        return job

    def log_path(self, job: str) -> Path | None:  # noqa: ARG002
        return self.log

    def stop(self, jobs: Sequence[str]) -> None:
        """Jobs are over at once."""

    def kill(self, job: str) -> None:
        self.killed.append(job)


@pytest.fixture
def plan() -> Plan:
    """Four runs that share one pre-training."""
    return make_plan("finetune_lr", "tiny", preset("tiny"), (0,))


def control(plan: Plan, executor: Fake, hung_seconds: float = 0.0) -> dict[str, str]:
    """States at the end."""
    study = GridStudy(plan, executor.registry, executor.registry.results / "study.journal")
    screen = Screen(Console(file=io.StringIO()))
    states = Controller(plan, executor.registry, study, executor, screen, hung_seconds).run()
    return {run: state.name for run, state in states.items()}


def finish(registry: RunRegistry, run: Run) -> None:
    scores = {"text_to_video": {"R@1": 10.0}}
    cost = {"pretrain_seconds": 1.0, "finetune_seconds": 1.0, "device": "cpu"}
    metrics = {"test": scores, "validation": scores}
    content = {"version": 1, "run": run.id, "cost": cost, "metrics": metrics}
    write_json(registry.folder(run.id) / "result.json", content)


def test_a_shared_stage_whose_job_dies_silently_fails_after_three_with_its_output(plan: Plan, tmp_path: Path) -> None:
    """As with `setup = ["exit 3"]`: the jobs that depend on it are cancelled by SLURM, for no fault of their own."""
    output = tmp_path / "out"
    output.write_text("module: command not found\n")
    ends = {"stage": JobEnd.OWN, "run": JobEnd.EXTERNAL}
    executor = Fake(RunRegistry(tmp_path), end=lambda job: ends[job.split()[0]], log=output)
    assert set(control(plan, executor).values()) == {"failed"}
    assert len(executor.submissions) == 3
    (stage,) = {run.stage for run in plan.runs.values()}
    failure = read_failure(executor.registry.stage_folder(str(stage)) / "failure.json")
    assert failure is not None
    assert failure["log"] == ["module: command not found"]
    assert len(read_deaths(executor.registry.stage_folder(str(stage)))) == 3  # one a submission, not one a run


def test_jobs_that_are_always_cancelled_end_too(plan: Plan, tmp_path: Path) -> None:
    executor = Fake(RunRegistry(tmp_path), end=lambda job: JobEnd.EXTERNAL)  # noqa: ARG005
    assert set(control(plan, executor).values()) == {"failed"}
    assert len(executor.submissions) == 10


def test_a_cancelled_job_is_submitted_again_and_counts_as_no_own_death(plan: Plan, tmp_path: Path) -> None:
    registry, tries = RunRegistry(tmp_path), dict.fromkeys(plan.runs, 0)

    def work(run: Run) -> None:
        tries[run.id] += 1
        if tries[run.id] > 4:
            finish(registry, run)

    executor = Fake(registry, end=lambda job: JobEnd.EXTERNAL, work=work)  # noqa: ARG005
    assert set(control(plan, executor).values()) == {"done"}
    assert set(tries.values()) == {5}


def test_an_accounting_that_is_away_is_waited_for(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks were cancelled while it was away: no run may be counted as failed for that."""
    answers = [JobEnd.UNKNOWN] * 30
    registry, calls = RunRegistry(tmp_path), list[str]()

    def end(job: str) -> JobEnd:
        calls.append(job)
        return answers.pop() if answers else JobEnd.EXTERNAL

    def work(run: Run) -> None:
        if calls:
            finish(registry, run)

    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    executor = Fake(registry, end=end, work=work)
    assert set(control(plan, executor).values()) == {"done"}
    assert not answers
    assert Counter(run for runs in executor.submissions for run in runs) == dict.fromkeys(plan.runs, 2)
    assert all(death["external"] for run in plan.runs.values() for death in read_deaths(registry.folder(run.id)))


def test_a_refusal_that_can_pass_is_waited_for_and_another_is_said(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    registry = RunRegistry(tmp_path)
    executor = Fake(registry, work=lambda run: finish(registry, run))
    executor.refusals = [Refused("partition inactive or drain", transient=True)] * 3
    assert set(control(plan, executor).values()) == {"done"}
    assert caplog.text.count("inactive or drain") == 3
    executor = Fake(RunRegistry(tmp_path / "other"), refusals=[Refused("no such partition", transient=False)])
    with pytest.raises(Refused, match="no such partition"):
        control(plan, executor)


def test_a_job_without_a_step_is_killed_and_tried_again_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.scheduler.watchdog.GRACE_SECONDS", 0.0)
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(module, "ALIKE", 100)
    plan, registry = make_plan("objectives", "tiny", preset("tiny"), (0,)), RunRegistry(tmp_path)
    executor = Fake(registry, lasting=True, separate_stage=False)
    assert set(control(plan, executor, hung_seconds=0.05).values()) == {"failed"}
    assert Counter(run for runs in executor.submissions for run in runs) == dict.fromkeys(plan.runs, 3)
    assert len(executor.killed) == 3 * len(plan.runs)
    for run in plan.runs.values():
        failure = registry.state(run).failure
        assert failure is not None
        assert "made no step" in failure["error"]


def test_a_shared_stage_that_hangs_is_killed_though_its_runs_only_wait(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.scheduler.watchdog.GRACE_SECONDS", 0.0)
    executor = Fake(RunRegistry(tmp_path), lasting=True)
    monkeypatch.setattr(executor, "is_pending", lambda job: job.startswith("run") and not ended(job))
    monkeypatch.setattr(executor, "is_over", lambda job: ended(job))

    def ended(job: str) -> bool:
        """A run's job goes with the one that it depends on."""
        return any(killed.split()[-1] == job.split()[-1] for killed in executor.killed)

    assert set(control(plan, executor, hung_seconds=0.05).values()) == {"failed"}
    assert 3 <= len(executor.submissions) <= 4  # a run may be handed over while the third stage job hangs
    assert all(job.startswith("stage") for job in executor.killed)


def test_a_job_that_makes_steps_is_left_alone(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.scheduler.watchdog.GRACE_SECONDS", 0.0)
    registry, looks = RunRegistry(tmp_path), dict.fromkeys(plan.runs, 0)
    executor = Fake(registry, lasting=True, separate_stage=False)

    def is_pending(job: str) -> bool:
        """Called at every look: the run makes a step, and is done after some."""
        run = job.split()[1]
        looks[run] += 1
        path = registry.folder(run) / heartbeat.FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (looks[run], looks[run]))
        if looks[run] == 300:
            finish(registry, plan.runs[run])
            executor.killed.append(job)  # it is over
        return False

    monkeypatch.setattr(executor, "is_pending", is_pending)
    monkeypatch.setattr(executor, "kill", lambda job: pytest.fail(f"{job} was killed"))
    executor.poll_seconds = 0.001
    assert set(control(plan, executor, hung_seconds=0.2).values()) == {"done"}


def test_a_job_that_does_not_end_after_its_run_is_killed(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.scheduler.watchdog.GRACE_SECONDS", 0.0)
    registry = RunRegistry(tmp_path)
    executor = Fake(registry, lasting=True, separate_stage=False, work=lambda run: finish(registry, run))
    assert set(control(plan, executor, hung_seconds=0.05).values()) == {"done"}
    assert sorted(executor.killed) == sorted(f"run {run} 0" for run in plan.runs)
    assert not list(tmp_path.glob("*/*/deaths.jsonl"))


class Packed(Fake):
    """All runs are in one job, which ends a run that hangs itself, and is over when none is left."""

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        return dict.fromkeys(super().submit(runs), f"job {len(self.submissions)}")


@pytest.mark.parametrize("all_hang", [False, True])
def test_of_several_runs_in_one_job_one_that_hangs_leaves_the_others_at_work(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, all_hang: bool
) -> None:
    registry, now = RunRegistry(tmp_path), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    executor = Packed(registry, separate_stage=False, lasting=True)
    for run in plan.runs.values():
        assert run.stage is not None
        write_json(registry.stage_folder(run.stage) / "stage.json", {})
        (registry.stage_folder(run.stage) / "weights.safetensors").touch()
    study = GridStudy(plan, registry, tmp_path / "study.journal")
    made = Controller(plan, registry, study, executor, Screen(Console(file=io.StringIO())), 0.2)
    made.active = executor.submit(list(plan.runs.values()))
    first, *others = plan.runs.values()
    for look in range(10):
        for run in [] if all_hang else others:
            path = registry.folder(run.id) / heartbeat.FILE
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (look, look))
        made._poll()
        now += 0.1
        if executor.killed:
            break
    assert executor.killed == (["job 1"] if all_hang else [])
    (death,) = read_deaths(registry.folder(first.id))
    assert death["error"].startswith("Hung: job 1 made no step for")
    assert [bool(read_deaths(registry.folder(run.id))) for run in others] == [all_hang] * len(others)
