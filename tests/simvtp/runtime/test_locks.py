import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simvtp.runtime.locks import STALE_SECONDS, Busy, Lock, holder

HOLD = """
import sys, time
from pathlib import Path
from simvtp.runtime.locks import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def held(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_taker_is_told_who_holds_it(tmp_path: Path) -> None:
    process = held(tmp_path / "lock")
    try:
        with pytest.raises(Busy, match=f"in use by process {process.pid} on "), Lock(tmp_path / "lock"):
            pass
    finally:
        process.kill()
        process.wait()


def test_a_lock_is_free_when_its_owner_was_killed(tmp_path: Path) -> None:
    process = held(tmp_path / "lock")
    process.kill()
    process.wait()
    assert (tmp_path / "lock").exists()
    assert holder(tmp_path / "lock") is None
    with Lock(tmp_path / "lock") as lock:
        assert holder(tmp_path / "lock") == lock.owner
    assert list(tmp_path.iterdir()) == []


def test_an_owner_on_another_machine_counts_until_its_heart_stops(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": 1, "job": "77", "token": "t"}))
    with pytest.raises(Busy, match=r"process 1 on elsewhere \(job 77\)"), Lock(path):
        pass
    old = time.time() - STALE_SECONDS - 1
    os.utime(path, (old, old))
    with Lock(path):
        pass


def test_of_many_takers_of_a_dead_lock_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": 1, "job": "", "token": "t"}))
    os.utime(path, (1, 1))
    code = (
        "import sys; from pathlib import Path; from simvtp.runtime.locks import Busy, Lock\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "try:\n with Lock(Path(sys.argv[1])):\n  print('won', flush=True); sys.stdin.readline()\n"
        "except Busy:\n print('busy', flush=True)"
    )
    line = [sys.executable, "-c", code, str(path)]
    many = [subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert [heard(process) for process in many] == ["ready\n"] * 6
    for process in many:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert sorted(heard(process) for process in many) == ["busy\n"] * 5 + ["won\n"]  # the winner holds it still
    for process in many:
        process.communicate()  # the end of its input lets the winner go
    assert [process.returncode for process in many] == [0] * 6


def heard(process: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert process.stdout is not None
    return process.stdout.readline()
