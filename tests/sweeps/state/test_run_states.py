import json
from pathlib import Path
from typing import Any

import pytest

from simvtp.config.presets import preset
from simvtp.errors import ConfigError
from simvtp.runtime.files import write_json
from simvtp.runtime.locks import Lock
from sweeps.plan import Run, make_plan, saved_sweep
from sweeps.state.failures import write_failure
from sweeps.state.run_states import RunRegistry, RunSummary, score, summarize
from sweeps.state.squeue import QueueSnapshot
from sweeps.state.submissions import Item


@pytest.fixture
def run() -> Run:
    return next(iter(make_plan("objectives", "tiny", preset("tiny"), (0,)).runs.values()))


def result_of(run: Run) -> str:
    scores = {"text_to_video": {"R@1": 10.0}}
    cost = {"pretrain_seconds": 1.0, "finetune_seconds": 1.0, "device": "cpu"}
    whole = {"version": 1, "run": run.id, "cost": cost, "metrics": {"test": scores, "validation": scores}}
    return json.dumps(whole)


def test_states_are_read_from_the_folder(run: Run, tmp_path: Path) -> None:
    registry, folder = RunRegistry(tmp_path), tmp_path / "runs" / run.id
    assert registry.state(run).name == "waiting"
    stage = tmp_path / "pretrained" / str(run.stage)
    stage.mkdir(parents=True)
    (stage / "log.jsonl").write_text('{"time": 1, "stage": "pretrain", "step": 3}\n{"half')
    state = registry.state(run)
    assert (state.name, state.line) == ("interrupted", {"time": 1, "since": 1, "stage": "pretrain", "step": 3})
    with Lock(stage / "lock"):
        assert registry.state(run).name == "running"
    write_failure(stage, {"error": "RuntimeError: no space", "stage": "pretrain", "step": 3, "traceback": "raise"})
    assert registry.fail_with_stage(run)
    state = registry.state(run)
    assert state.name == "failed"
    assert state.failure is not None
    assert state.failure["error"] == f"pre-training {run.stage}: RuntimeError: no space"
    assert (state.failure["stage"], state.failure["step"], state.failure["attempts"]) == ("pretrain", 3, 1)
    registry.retry(run)
    assert registry.state(run).name == "interrupted"
    assert not registry.fail_with_stage(run)
    (folder / "result.json").write_text(result_of(run))
    assert registry.state(run).name == "done"


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
    run: Run, tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "runs" / run.id
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(damage(result_of(run)))  # type: ignore[operator]
    assert RunRegistry(tmp_path).state(run).name == "waiting"
    assert str(folder / "result.json") in caplog.text
    assert [path.name for path in folder.iterdir()] == ["result.json.damaged"]


def test_runs_of_earlier_calls_are_known_by_the_sweep_file(tmp_path: Path) -> None:
    registry, base = RunRegistry(tmp_path), preset("tiny")
    first, second = (make_plan("objectives", "tiny", base, (seed,)) for seed in (0, 1))
    for plan in (first, second):
        registry.write_sweeps(plan, "x")
    assert registry.earlier(second) == {run.id: run.label for run in first.runs.values()}
    path = tmp_path / "sweeps" / "objectives-tiny" / "sweep.json"
    for damaged in ("{", "[]", '{"x": 1}'):
        path.write_text(damaged)
        assert registry.earlier(second) == {}
        registry.write_sweeps(second, "x")
        assert json.loads(path.read_text())["seeds"] == [1]


def test_a_run_whose_job_waits_for_its_stage_is_queued_not_running(run: Run, tmp_path: Path) -> None:
    registry = RunRegistry(tmp_path)
    record = registry.submissions.open("tiny", [[Item("run", run.id, run.config)]], {})
    assert run.stage is not None
    with Lock(registry.stage_folder(run.stage) / "lock"):
        assert registry.state(run).name == "running"  # on this machine there are no jobs that wait
        registry.queue.last = QueueSnapshot(1.0, {}, {record.token: {"0": ("PENDING", "Dependency")}})
        assert (registry.state(run).name, registry.state(run).reason) == ("queued", "Dependency")
        with Lock(registry.folder(run.id) / "lock"):
            assert registry.state(run).name == "running"


def test_a_claim_that_names_no_submission_counts_as_none(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / run.id
    folder.mkdir(parents=True)
    for token in ("null", "[1]", "5"):
        (folder / "job.json").write_text(f'{{"token": {token}, "task": 0}}')
        assert RunRegistry(tmp_path).submissions.claim("run", run.id) is None


@pytest.mark.parametrize("target", ["nothing", "results"])
def test_a_link_to_no_folder_is_no_results_folder(target: str, tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to(tmp_path / target)
    with pytest.raises(ConfigError, match="results: that is a link to no folder"):
        RunRegistry(tmp_path / "results")


@pytest.mark.parametrize(
    "changes", [{"points": [{"label": "a", "set": [1]}]}, {"points": [{"set": {}}]}, {"points": 5}, {"axes": ["nope"]}]
)
def test_a_saved_sweep_of_another_kind_is_none(changes: dict[str, object], tmp_path: Path) -> None:
    record = {
        "name": "mine",
        "title": "t",
        "axes": ["mask.video"],
        "points": [{"label": 1, "set": {"mask.video": 0.5}}],
    }
    write_json(tmp_path / "sweeps" / "mine-tiny" / "sweep.json", record)
    saved = saved_sweep(tmp_path, "mine", "tiny", preset("tiny"))
    assert saved is not None
    assert [point.label for point in saved.points_around(preset("tiny"))] == ["base", "1"]
    write_json(tmp_path / "sweeps" / "mine-tiny" / "sweep.json", record | changes)
    assert saved_sweep(tmp_path, "mine", "tiny", preset("tiny")) is None


def result(**cost: Any) -> dict[str, Any]:
    metrics = {name: {"text_to_video": {"R@1": value}} for name, value in (("test", 12.5), ("validation", 14))}
    return {"metrics": metrics, "cost": {"pretrain_seconds": 7200.0, "finetune_seconds": 1800, "device": "cpu", **cost}}


def test_an_outcome_is_recall_and_hours() -> None:
    assert summarize(result()) == RunSummary(12.5, 14.0, 2.0, 0.5, "cpu")
    assert summarize(result(evaluate_seconds=900, devices=4)) == RunSummary(12.5, 14.0, 8.0, 3.0, "cpu")


@pytest.mark.parametrize(("value", "wanted"), [(14.0, 14.0), (float("nan"), None), (float("inf"), None)])
def test_a_study_is_told_validation_alone(value: float, wanted: float | None) -> None:
    assert score(RunSummary(99.0, value, 1.0, 1.0, "cpu")) == wanted
    assert score(None) is None


@pytest.mark.parametrize("missing", ["metrics", "cost"])
def test_a_result_that_lacks_a_part_is_no_outcome(missing: str) -> None:
    whole = result()
    del whole[missing]
    with pytest.raises(KeyError, match=missing):
        summarize(whole)
