"""Parts in processes of their own: what is done is kept, whatever hangs, fails or dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu_parts import process
from benchmarks.gpu_parts.checks import append, begun, read
from benchmarks.gpu_parts.parts import page
from benchmarks.report import ROOT

PROGRAM = """
import os, signal, subprocess, sys, time
from pathlib import Path
from benchmarks.gpu_parts.checks import Check, run_checks
from benchmarks.gpu_parts.checks import rehearsal

def stubborn(scale):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    Path(scale.out, "child").write_text(str(child.pid))
    time.sleep(1000)

def partly(scale):
    yield {"n": "1"}
    yield {"n": "2"}
    os._exit(7)

def raises(scale):
    def handle(number, frame):
        raise RuntimeError("stopped in the middle")
    signal.signal(signal.SIGTERM, handle)
    time.sleep(1000)

KINDS = {
    "raises": raises,
    "works": lambda scale: [{"n": "1"}],
    "partly": partly,
    "pid": lambda scale: [{"n": str(os.getpid())}],
    "fails": lambda scale: [{"n": str(1 // 0)}],
    "hangs": lambda scale: time.sleep(1000),
    "dies": lambda scale: os._exit(7),
    "stubborn": stubborn,
}
records, out, limit, *names = sys.argv[1:-1]
checks = [Check(name, float(limit), KINDS[name.partition(" ")[0]]) for name in names]
sys.exit(run_checks("part", checks, Path(records), rehearsal(out), float(sys.argv[-1])))
"""


def run(folder: Path, names: list[str], *, limit: float = 60.0, seconds: float = 60.0) -> dict[str, dict[str, object]]:
    """The last record of every check."""
    records = folder / "records.jsonl"
    command = [sys.executable, "-c", PROGRAM, str(records), str(folder), str(limit), *names]
    process.run_part("part", command, records, folder / "log", seconds, {"PYTHONPATH": str(ROOT)})
    return {record["check"]: record for record in read(records) if "check" in record}


def test_a_check_that_fails_or_dies_does_not_stop_the_others(tmp_path: Path) -> None:
    records = run(tmp_path, ["works", "fails", "dies", "works again"])
    assert {name: record["state"] for name, record in records.items()} == {
        "works": "done", "fails": "failed", "dies": "died", "works again": "done",
    }  # fmt: skip
    assert records["works"]["rows"] == [{"n": "1"}]
    assert "ZeroDivisionError" in str(records["fails"]["error"])
    assert "code 7" in str(records["dies"]["error"])


def test_nothing_runs_in_a_process_in_which_a_check_failed(tmp_path: Path) -> None:
    """After an illegal access to the GPU's memory every later call of CUDA in the process fails too."""
    records = run(tmp_path, ["pid", "pid again", "fails", "pid later"])
    first, again, later = (records[name]["rows"] for name in ("pid", "pid again", "pid later"))
    assert first == again != later
    assert {record["state"] for record in read(tmp_path / "records.jsonl")} == {"started", "done", "failed"}


def test_rows_before_the_end_of_a_process_are_kept(tmp_path: Path) -> None:
    run(tmp_path, ["partly", "works"])
    text = page([record | {"part": "step"} for record in read(tmp_path / "records.jsonl")], "T")
    assert "died: the process ended with code 7\n\n| n |\n| --- |\n| 1 |\n| 2 |\n" in text


def test_a_check_that_hangs_is_killed_at_its_limit_and_the_next_one_runs(tmp_path: Path) -> None:
    began = time.monotonic()
    records = run(tmp_path, ["hangs", "works"], limit=1.5)
    assert {name: record["state"] for name, record in records.items()} == {"hangs": "killed", "works": "done"}
    assert time.monotonic() - began < 30
    assert "in <lambda>" in (tmp_path / "log").read_text()  # where it hung


def test_a_check_that_fails_because_it_is_stopped_was_killed(tmp_path: Path) -> None:
    records = run(tmp_path, ["raises", "works"], limit=2)
    assert {name: record["state"] for name, record in records.items()} == {"raises": "killed", "works": "done"}
    assert "not done after 2 s" in str(records["raises"]["error"])


def test_the_part_ends_with_its_time_and_keeps_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LEAST_SECONDS", 0.0)
    began = time.monotonic()
    records = run(tmp_path, ["works", "hangs", "works again"], seconds=3)
    assert time.monotonic() - began < 30
    assert {name: record["state"] for name, record in records.items()} == {"works": "done", "hangs": "killed"}


def test_nothing_is_left_of_a_part_that_will_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.5)
    records = run(tmp_path, ["stubborn"], limit=2)
    assert records["stubborn"]["state"] == "killed"
    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and state_of(child) != "Z" and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists() or state_of(child) == "Z"


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_part_that_cannot_start_is_tried_once_and_named(tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    process.run_part("part", [sys.executable, "-c", "raise SystemExit(3)"], records, tmp_path / "log", 60, {})
    assert [(record["state"], record["error"]) for record in read(records)] == [("died", "code 3; see log")]


def test_a_record_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    append(records, {"part": "a", "check": "one", "state": "started", "limit": 1})
    with records.open("a") as file:
        file.write(json.dumps({"part": "a", "check": "two"})[:-3])
    assert begun(records, "a") == {"one"}
    assert begun(records, "b") == set()


def test_kill_ends_a_process_that_is_over_already() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    done.wait()
    process.kill(done)
    assert not Path(f"/proc/{done.pid}").exists() or os.getpgid(done.pid) != done.pid
