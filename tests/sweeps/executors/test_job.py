"""Several runs side by side in one job of SLURM."""

import subprocess
import sys
from pathlib import Path

import pytest

from simvtp.runtime import heartbeat
from sweeps.executors.job import PackedTasks

STEPS = """
import sys, time
from pathlib import Path
for _ in range(30):
    Path(sys.argv[1]).touch()
    time.sleep(0.1)
"""


def test_a_run_that_hangs_is_killed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(heartbeat.VARIABLE, "1.2")
    folders = [tmp_path / "hangs", tmp_path / "works"]
    for folder in folders:
        folder.mkdir()
    hanging = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    working = subprocess.Popen([sys.executable, "-c", STEPS, str(folders[1] / heartbeat.FILE)])
    assert PackedTasks(tmp_path, folders)._wait([hanging, working]) == [-9, 0]
