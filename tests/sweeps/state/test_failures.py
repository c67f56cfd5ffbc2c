import errno
import json
from pathlib import Path

import pytest

from simvtp.training.trainer import NotFinite
from sweeps.state.failures import clear_failure, is_full, last_line, progress, read_deaths, read_failure, record_death


def at(folder: Path, step: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.jsonl").write_text(json.dumps({"time": 1.5, "stage": "finetune", "step": step}) + "\n")


def die(folder: Path, error: Exception | None = None, log: Path | None = None, *, external: bool = False) -> bool:
    try:
        raise error or RuntimeError("out of memory")
    except Exception as raised:  # noqa: BLE001
        return record_death(folder, "finetune", raised, "12_3", log, external=external)


def test_three_deaths_at_one_place_fail_a_run(tmp_path: Path) -> None:
    log = tmp_path / "out"
    log.write_text("".join(f"line {i}\n" for i in range(100)))
    at(tmp_path, 5)
    assert [die(tmp_path, log=log) for _ in range(2)] == [False, False]
    assert read_failure(tmp_path / "failure.json") is None
    assert die(tmp_path, log=log)
    failure = read_failure(tmp_path / "failure.json")
    assert failure is not None
    assert (failure["stage"], failure["step"], failure["deaths"]) == ("finetune", 5, 3)
    assert failure["error"] == "RuntimeError: out of memory"
    assert "raise error or RuntimeError" in failure["traceback"]
    assert failure["log"] == [f"line {i}" for i in range(60, 100)]
    assert failure["job"] == "12_3"


def test_one_that_moves_on_between_deaths_goes_on(tmp_path: Path) -> None:
    for step in (1, 1, 2, 2, 3, 2, 3):
        at(tmp_path, step)
        assert not die(tmp_path)
    assert len(read_deaths(tmp_path)) == 7


def test_ends_from_outside_have_a_budget_of_their_own(tmp_path: Path) -> None:
    assert [die(tmp_path, external=True) for _ in range(9)] == [False] * 9
    assert die(tmp_path, external=True)
    other = tmp_path / "other"
    assert [die(other), die(other, external=True), die(other), die(other)] == [False, False, False, True]


@pytest.mark.parametrize("error", [ValueError("less than one batch"), NotFinite("loss")])
def test_an_error_that_only_comes_again_fails_at_once(tmp_path: Path, error: Exception) -> None:
    assert die(tmp_path, error)


def test_a_retry_keeps_count_of_attempts_and_forgets_deaths(tmp_path: Path) -> None:
    for attempt in (1, 2):
        assert [die(tmp_path) for _ in range(3)] == [False, False, True]
        failure = read_failure(tmp_path / "failure.json")
        assert failure is not None
        assert failure["attempts"] == attempt
        clear_failure(tmp_path)
        assert read_failure(tmp_path / "failure.json") is None
        assert read_deaths(tmp_path) == []


def test_a_line_cut_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    die(tmp_path)
    path = tmp_path / "deaths.jsonl"
    path.write_bytes(path.read_bytes() + b'{"time": 1, "st')
    assert len(read_deaths(tmp_path)) == 1


def test_full_disks() -> None:
    assert is_full(OSError(errno.ENOSPC, "No space left on device"))
    assert is_full(OSError(errno.EDQUOT, "Quota"))
    assert not is_full(OSError(errno.ENOENT, "gone"))
    assert not is_full(RuntimeError("full"))


def test_the_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert last_line(path) == {}
    path.write_text(
        "".join(f'{{"time": 1, "stage": "a", "step": {i}, "filler": "{"x" * 200}"}}\n' for i in range(100)) + '{"st'
    )
    assert last_line(path)["step"] == 99


def test_a_damaged_failure_still_says_that_the_run_failed(tmp_path: Path) -> None:
    die(tmp_path, ValueError("x"))
    path = tmp_path / "failure.json"
    path.write_bytes(path.read_bytes()[:30])
    assert read_failure(path) == {"error": "unknown: failure.json is damaged"}
    clear_failure(tmp_path)
    assert die(tmp_path, ValueError("x"))


@pytest.mark.parametrize("line", ["[]", "null", "5", '"x"', "[" * 100_000, '{"time": 1}', '{"time": [1]}', "\udcff"])
def test_lines_of_another_kind_are_passed_over(line: str, tmp_path: Path) -> None:
    log, deaths = tmp_path / "log.jsonl", tmp_path / "deaths.jsonl"
    at(tmp_path, 5)
    die(tmp_path)
    for path in (log, deaths):
        path.write_bytes(line.encode(errors="surrogateescape") + b"\n" + path.read_bytes())
    assert last_line(log) == {"time": 1.5, "stage": "finetune", "step": 5}
    assert progress(log)["step"] == 5
    assert [death["step"] for death in read_deaths(tmp_path)] == [5]


def test_values_of_another_type_are_left_out(tmp_path: Path) -> None:
    line = {"time": 2, "stage": "pretrain", "step": 1, "steps": 4, "loss": [1], "epoch": "x", "lr": None}
    (tmp_path / "log.jsonl").write_text(json.dumps(line) + "\n")
    expected = {"time": 2, "since": 2, "stage": "pretrain", "step": 1, "steps": 4}
    assert progress(tmp_path / "log.jsonl") == expected
