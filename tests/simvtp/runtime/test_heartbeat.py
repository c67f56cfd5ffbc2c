import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simvtp.errors import ConfigError
from simvtp.runtime import heartbeat

SCRIPT = """
import time
from pathlib import Path
from simvtp.runtime import heartbeat
heartbeat.start(Path({path!r}))
for _ in range({steps}):
    time.sleep(0.1)
    heartbeat.beat()
{end}
"""


def call(path: Path, seconds: str, steps: int, end: str) -> "subprocess.CompletedProcess[str]":
    script = SCRIPT.format(path=str(path), steps=steps, end=end)
    environment = {**os.environ, heartbeat.VARIABLE: seconds}
    return subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_process_that_stands_still_ends_with_its_stack(tmp_path: Path) -> None:
    done = call(tmp_path / "beat", "1", 3, "time.sleep(600)  # stands still")
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert "<string>" in done.stderr
    assert (tmp_path / "beat").exists()


def test_one_that_makes_steps_or_has_no_limit_goes_on(tmp_path: Path) -> None:
    assert call(tmp_path / "a", "1", 25, "heartbeat.stop()").returncode == 0
    assert call(tmp_path / "b", "0", 1, "time.sleep(2)").returncode == 0


def test_without_start_a_beat_does_nothing() -> None:
    heartbeat.beat()


def test_the_file_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(heartbeat.VARIABLE, "0.2")
    path = tmp_path / "new" / "beat"
    heartbeat.start(path)
    try:
        before = path.stat().st_mtime_ns
        time.sleep(0.1)
        heartbeat.beat()
        assert path.stat().st_mtime_ns > before
    finally:
        heartbeat.stop()


@pytest.mark.parametrize("text", ["-1", "soon", "nan", "inf"])
def test_a_limit_that_is_no_time_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(heartbeat.VARIABLE, text)
    with pytest.raises(ConfigError, match=heartbeat.VARIABLE):
        heartbeat.limit_seconds()
