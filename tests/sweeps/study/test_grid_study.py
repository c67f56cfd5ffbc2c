"""The study of a sweep, as Optuna itself reads it from the journal."""

import json
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from simvtp.config.schema import flatten
from sweeps.plan import Plan, make_plan
from sweeps.state.run_states import RunRegistry, RunState, RunSummary
from sweeps.study.grid_study import GridStudy
from sweeps.study.journal_file import repair
from tests.small_config import CONFIG


@pytest.fixture
def plan() -> Plan:
    return make_plan("objectives", "tiny", CONFIG, (0, 1))


def done(score: float) -> RunState:
    return RunState("done", summary=RunSummary(100 - score, score, 0.1, 0.1, "cpu"))


def study_of(plan: Plan, folder: Path) -> GridStudy:
    return GridStudy(plan, RunRegistry(folder), folder / "study.journal")


def trials(folder: Path, plan: Plan) -> list[FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    actual = optuna.load_study(study_name=plan.folder, storage=storage)
    assert actual.direction == optuna.study.StudyDirection.MAXIMIZE
    return actual.get_trials()


def test_a_trial_for_each_run_that_is_over(plan: Plan, tmp_path: Path) -> None:
    runs = list(plan.runs)
    states = {runs[0]: done(12.5), runs[1]: RunState("failed", failure={"error": "x"}), runs[2]: RunState("running")}
    states |= {runs[3]: done(float("nan"))}
    study_of(plan, tmp_path).write(states)
    actual = trials(tmp_path, plan)
    assert [(t.user_attrs["run"], t.state.name, t.value) for t in actual] == [
        (runs[0], "COMPLETE", 12.5), (runs[1], "FAIL", None), (runs[3], "FAIL", None),
    ]  # fmt: skip
    assert actual[0].params == {"objective.vtc": 1.0, "objective.vtm": 1.0, "pretrain.length": "400 steps"}
    assert actual[0].user_attrs["seed"] == 0


def test_the_journal_is_written_anew_whatever_was_there(plan: Plan, tmp_path: Path) -> None:
    states = {run: done(float(score)) for score, run in enumerate(plan.runs)}
    for content in (b"", b"{}\n", b'{"op_code":99}\n', b'{"half'):
        (tmp_path / "study.journal").write_bytes(content)
        study_of(plan, tmp_path).write(states)
        assert [t.value for t in trials(tmp_path, plan)] == [float(score) for score in range(len(plan.runs))]


def test_it_is_written_when_a_run_has_ended_and_at_most_once_a_minute(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now)
    study, run = study_of(plan, tmp_path), next(iter(plan.runs))
    study.update({})
    assert trials(tmp_path, plan) == []
    study.tell(run, done(1.0))
    study.update({run: done(1.0)})
    assert trials(tmp_path, plan) == []
    now += 61
    study.update({run: done(1.0)})
    assert len(trials(tmp_path, plan)) == 1
    (tmp_path / "study.journal").unlink()
    now += 61
    study.update({run: done(1.0)})
    assert not (tmp_path / "study.journal").exists()  # nothing has ended since


def test_runs_of_earlier_seeds_are_trials_too(plan: Plan, tmp_path: Path) -> None:
    registry, earlier = RunRegistry(tmp_path), make_plan("objectives", "tiny", CONFIG, (7,))
    registry.write_sweeps(earlier, "x")
    registry.write_sweeps(plan, "x")
    run = next(iter(earlier.runs.values()))
    metrics = {"test": {"text_to_video": {"R@1": 3.0}}, "validation": {"text_to_video": {"R@1": 4.0}}}
    cost = {"pretrain_seconds": 1.0, "finetune_seconds": 1.0, "device": "cpu"}
    content = {"version": 1, "run": run.id, "metrics": metrics, "cost": cost, "config": flatten(run.config)}
    registry.folder(run.id).mkdir(parents=True)
    (registry.folder(run.id) / "result.json").write_text(json.dumps(content))
    study_of(plan, tmp_path).write({})
    assert [(t.user_attrs["run"], t.value) for t in trials(tmp_path, plan)] == [(run.id, 4.0)]


def test_a_torn_journal_is_cut_at_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    repair(path)
    path.write_bytes(b'{"a":1}\n{"b":2}\n{"c"')
    repair(path)
    assert path.read_bytes() == b'{"a":1}\n{"b":2}\n'
    assert path.with_suffix(".journal.torn").read_bytes().endswith(b'{"c"')
    path.write_bytes(b'{"a":1}\n{"b":2}')
    repair(path)
    assert path.read_bytes() == b'{"a":1}\n'
