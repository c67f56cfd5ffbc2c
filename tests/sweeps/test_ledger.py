import json
from pathlib import Path

import pytest

from simvtp.locks import Lock
from simvtp.presets import preset
from sweeps.ledger import Ledger, last_line
from sweeps.plan import Run, make_plan


@pytest.fixture
def run() -> Run:
    return next(iter(make_plan("objectives", "tiny", preset("tiny"), (0,)).runs.values()))


def result_of(run: Run) -> str:
    scores = {"text_to_video": {"R@1": 10.0}}
    return json.dumps({"version": 1, "run": run.id, "metrics": {"test": scores, "validation": scores}})


def test_states_are_read_from_the_folder(run: Run, tmp_path: Path) -> None:
    ledger, folder = Ledger(tmp_path), tmp_path / "runs" / run.id
    assert ledger.state(run).name == "waiting"
    stage = tmp_path / "pretrained" / str(run.stage)
    stage.mkdir(parents=True)
    (stage / "log.jsonl").write_text('{"stage": "pretrain", "step": 3}\n{"half')
    state = ledger.state(run)
    assert (state.name, state.line) == ("interrupted", {"stage": "pretrain", "step": 3})
    with Lock(stage / "lock"):
        assert ledger.state(run).name == "running"
    try:
        raise RuntimeError("no space")
    except RuntimeError as error:
        ledger.record_failure(run.id, run.stage, error)
    state = ledger.state(run)
    assert state.name == "failed"
    assert state.failure is not None
    assert state.failure["error"] == "RuntimeError: no space"
    assert (state.failure["stage"], state.failure["step"]) == ("pretrain", 3)
    assert 'raise RuntimeError("no space")' in state.failure["traceback"]
    (folder / "result.json").write_text(result_of(run))
    assert ledger.state(run).name == "done"


def test_a_retry_keeps_count(run: Run, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for attempt in (1, 2):
        ledger.record_failure(run.id, run.stage, ValueError("x"))
        failure = ledger.state(run).failure
        assert failure is not None
        assert failure["attempts"] == attempt
        ledger.forget_failure(run.id)
        assert ledger.state(run).name == "waiting"


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("1", "9", 1),
        lambda text: text.replace("validation", "elsewhere"),
        lambda text: text.replace("10.0", "null"),
    ],
)
def test_a_damaged_result_is_said_and_moved_aside(
    run: Run, tmp_path: Path, damage: object, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs" / run.id
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(damage(result_of(run)))  # type: ignore[operator]
    assert Ledger(tmp_path).state(run).name == "waiting"
    assert str(folder / "result.json") in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["result.json.damaged"]


def test_the_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert last_line(path) == {}
    path.write_text("".join(json.dumps({"step": i, "filler": "x" * 200}) + "\n" for i in range(100)) + '{"step": 1')
    assert last_line(path)["step"] == 99


def test_a_damaged_failure_still_says_that_the_run_failed(run: Run, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record_failure(run.id, run.stage, ValueError("x"))
    path = tmp_path / "runs" / run.id / "failure.json"
    path.write_bytes(path.read_bytes()[:30])
    state = ledger.state(run)
    assert (state.name, state.failure) == ("failed", {"error": "unknown: failure.json is damaged"})
    ledger.forget_failure(run.id)
    ledger.record_failure(run.id, run.stage, ValueError("x"))


def test_runs_of_earlier_calls_are_known_by_the_sweep_file(tmp_path: Path) -> None:
    ledger, base = Ledger(tmp_path), preset("tiny")
    first, second = (make_plan("objectives", "tiny", base, (seed,)) for seed in (0, 1))
    for plan in (first, second):
        ledger.write_sweeps(plan, "x")
    assert ledger.earlier(second) == {run.id: run.label for run in first.runs.values()}
    path = tmp_path / "sweeps" / "objectives-tiny" / "sweep.json"
    for damaged in ("{", "[]", '{"x": 1}'):
        path.write_text(damaged)
        assert ledger.earlier(second) == {}
        ledger.write_sweeps(second, "x")
        assert json.loads(path.read_text())["seeds"] == [1]
