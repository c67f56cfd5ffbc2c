"""A search on a real SLURM: its controller killed, its job cancelled, the same command again."""

import os
import signal
import subprocess
from pathlib import Path

from tests.cluster.conftest import tasks, wait_until
from tests.sweeps.test_searching import ROOT, command, outcome


def test_a_killed_controller_and_a_cancelled_job_change_no_trial(corpus_cache: Path, tmp_path: Path) -> None:
    del corpus_cache
    calm = subprocess.run(command(tmp_path / "calm", "--trials", "2"), cwd=ROOT, capture_output=True, check=False)
    assert calm.returncode == 0, calm.stderr
    cut = tmp_path / "cut"
    line = command(cut, "--trials", "2", "--cluster", "slurm")
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
    wait_until("a trial trains", lambda: list(cut.rglob("log.jsonl")) and tasks(cut, "R"))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(["scancel", *tasks(cut, "R")], check=True)
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert outcome(cut) == outcome(tmp_path / "calm")
    submitted = [path.parent.name for path in (cut / "jobs").glob("*/record.json")]
    assert len(submitted) == len(outcome(cut)[1]) + 1  # one at a time; the cancelled one twice
