import time
import tracemalloc
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from simvtp.config.presets import preset
from simvtp.config.schema import flatten
from sweeps.plan import Plan, make_plan
from sweeps.state.run_states import Outcome, State
from sweeps.study.grid_study import COMPLETE, Study


@pytest.fixture
def plan() -> Plan:
    return make_plan("objectives", "tiny", preset("tiny"), (0, 1))


def done(score: float) -> State:
    return State("done", outcome=Outcome(100 - score, score, 0.1, 0.1, "cpu"))


def opened(study: Study) -> list[FrozenTrial]:
    """The trials as Optuna itself reads them from the file."""
    storage = JournalStorage(JournalFileBackend(str(study.path)))
    found = optuna.load_study(study_name=study.plan.folder, storage=storage)
    assert found.direction == optuna.study.StudyDirection.MAXIMIZE
    return found.get_trials()


def trials(study: Study) -> dict[str, tuple[str, float | None]]:
    return {t.user_attrs["run"]: (t.state.name, t.value) for t in opened(study) if t.state != TrialState.FAIL}


def test_one_trial_a_run_told_once(plan: Plan, tmp_path: Path) -> None:
    study, runs = Study(tmp_path, plan), list(plan.runs)
    for run in runs[:2]:
        study.begin(run)
        study.begin(run)
    for _ in range(2):
        study.tell(runs[0], done(12.5))
    assert trials(study) == {runs[0]: ("COMPLETE", 12.5), runs[1]: ("RUNNING", None)}
    again = Study(tmp_path, plan)  # the controller was killed
    again.begin(runs[1])
    again.tell(runs[1], done(3.0))
    assert trials(again) == {runs[0]: ("COMPLETE", 12.5), runs[1]: ("COMPLETE", 3.0)}
    parameters = opened(again)[0].params
    assert parameters == {"objective.vtc": 1.0, "objective.vtm": 1.0, "pretrain.length": "400 steps"}


def test_a_deleted_or_torn_journal_is_filled_from_the_run_folders(
    plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    states = {run: done(float(i)) for i, run in enumerate(plan.runs)}
    wanted = {run: ("COMPLETE", float(i)) for i, run in enumerate(plan.runs)}
    journal = tmp_path / "study.journal"

    def fill() -> dict[str, tuple[str, float | None]]:
        study = Study(tmp_path, plan)
        for run, state in states.items():
            study.tell(run, state)
        return trials(study)

    assert fill() == wanted
    journal.unlink()
    assert fill() == wanted
    lines = journal.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines):  # killed between any two lines, or within one
        for torn in (b"", line[:-7], line[:-1]):
            journal.write_bytes(b"".join(lines[:number]) + torn)
            assert fill() == wanted
            assert ("torn bytes" in capsys.readouterr().err) == bool(torn)
            assert set(parameters(Study(tmp_path, plan))) == {("objective.vtc", "objective.vtm", "pretrain.length")}
    assert fill() == wanted


def parameters(study: Study) -> list[tuple[str, ...]]:
    return [tuple(sorted(trial.params)) for trial in opened(study)]


@pytest.mark.parametrize("content", [b"{}\n", b"null\n", b"7\n", b'{"op_code":99}\n'])
def test_a_journal_of_nonsense_is_set_aside(plan: Plan, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "study.journal").write_bytes(content)
    study, run = Study(tmp_path, plan), next(iter(plan.runs))
    study.tell(run, done(1.0))
    assert trials(study) == {run: ("COMPLETE", 1.0)}
    assert (tmp_path / "study.journal.old").read_bytes() == content


def test_the_lock_of_a_killed_controller_costs_nothing(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "study.journal.lock").touch()
    before = time.monotonic()
    Study(tmp_path, plan)
    assert time.monotonic() - before < 10  # Optuna's own patience is 30 s


def test_a_failure_is_told_once_however_often_the_command_is_given(plan: Plan, tmp_path: Path) -> None:
    run, failed = next(iter(plan.runs)), State("failed", failure={"error": "x"})
    for _ in range(3):
        Study(tmp_path, plan).tell(run, failed)
    assert [t.state for t in opened(Study(tmp_path, plan))] == [TrialState.FAIL]
    study = Study(tmp_path, plan)
    study.begin(run)  # --retry failed
    study.tell(run, failed)
    assert [t.state for t in opened(study)] == [TrialState.FAIL, TrialState.FAIL]


def test_runs_of_earlier_seeds_come_back_with_a_lost_journal(plan: Plan, tmp_path: Path) -> None:
    run = next(iter(make_plan("objectives", "tiny", preset("tiny"), (7,)).runs.values()))
    metrics = {"test": {"text_to_video": {"R@1": 3.0}}, "validation": {"text_to_video": {"R@1": 4.0}}}
    cost = {"pretrain_seconds": 1.0, "finetune_seconds": 1.0, "device": "cpu"}
    result = {"metrics": metrics, "cost": cost, "config": flatten(run.config)}
    for _ in range(2):
        study = Study(tmp_path, plan)
        study.restore(run.id, run.label, result)
        assert trials(study) == {run.id: ("COMPLETE", 4.0)}
    study.restore("another", "x", result | {"config": flatten(run.config) | {"objective.vtc": 0.3}})
    assert list(trials(study)) == [run.id]


@pytest.mark.parametrize("state", [done(float("nan")), done(float("inf")), State("failed", failure={})])
def test_what_has_no_score_fails_its_trial_and_may_be_tried_again(plan: Plan, tmp_path: Path, state: State) -> None:
    study, run = Study(tmp_path, plan), next(iter(plan.runs))
    study.tell(run, state)
    assert [t.state for t in opened(study)] == [TrialState.FAIL]
    study.tell(run, done(5.0))
    assert trials(study) == {run: ("COMPLETE", 5.0)}


def test_a_sweep_whose_values_changed_gets_a_new_study(plan: Plan, tmp_path: Path) -> None:
    study = Study(tmp_path, plan)
    study.tell(next(iter(plan.runs)), done(5.0))
    other = make_plan("objectives", "tiny", preset("tiny"), (0,))
    other.tables[0] = other.tables[0].__class__(**{**vars(other.tables[0]), "axes": ("objective.vtc", "objective.mlm")})
    object.__setattr__(next(iter(other.runs.values())).config.objective, "vtc", 0.5)
    new = Study(tmp_path, other)
    new.begin(next(iter(other.runs)))
    assert (tmp_path / "study.journal.old").exists()


def test_a_journal_that_optuna_wrote_or_added_notes_to_is_gone_on_with(plan: Plan, tmp_path: Path) -> None:
    """As older versions did, as Optuna Dashboard does, and with a study of somebody else in the same file."""
    ours, runs = Study(tmp_path, plan), list(plan.runs)
    ours.begin(runs[0])
    axes, config = ours.journal.axes, plan.runs[runs[1]].values
    storage = JournalStorage(JournalFileBackend(str(ours.path)))
    optuna.create_study(study_name="of somebody else", storage=storage).add_trial(create_trial(value=1.0))
    theirs = optuna.load_study(study_name=plan.folder, storage=storage)
    theirs.set_user_attr("note", "x")
    storage.set_trial_system_attr(theirs.get_trials()[0]._trial_id, "dashboard:note", "y")
    theirs.add_trial(create_trial(
        state=TrialState.RUNNING, params={key: config[key] for key in axes}, distributions=dict(axes),
        user_attrs={"run": runs[1]},
    ))  # fmt: skip
    study = Study(tmp_path, plan)
    study.begin(*runs[:3])
    for score, run in enumerate(runs[:4]):
        study.tell(run, done(float(score)))
    assert trials(study) == {run: ("COMPLETE", float(score)) for score, run in enumerate(runs[:4])}
    assert len(opened(study)) == 4
    assert not (tmp_path / "study.journal.old").exists()


def test_a_journal_deleted_under_its_controller_is_whole_after_the_next_command(plan: Plan, tmp_path: Path) -> None:
    study, runs = Study(tmp_path, plan), list(plan.runs)
    study.begin(*runs[:3])
    study.path.unlink()
    study.tell(runs[0], done(1.0))
    study.begin(runs[3])
    again = Study(tmp_path, plan)
    again.begin(*runs[:3])
    for run in runs[:3]:
        again.tell(run, done(1.0))
    assert trials(again) == dict.fromkeys(runs[:3], ("COMPLETE", 1.0))


def test_a_study_keeps_a_number_a_run(tmp_path: Path) -> None:
    """Ten thousand trials as Optuna's objects take 15 MB."""
    seeds = tuple(range(500))
    plan = make_plan("finetune_lr", "tiny", preset("tiny"), seeds)
    tracemalloc.start()
    study = Study(tmp_path, plan)
    study.begin(*plan.runs)
    for run in plan.runs:
        study.tell(run, done(1.0))
    assert set(Study(tmp_path, plan).trials.values()) == {COMPLETE}
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 300 * len(plan.runs)
    assert len(opened(study)) == 2000
