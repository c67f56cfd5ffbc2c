"""A search on a real SLURM: its controller killed, its job cancelled, the same command again."""

import os
import signal
import subprocess
from pathlib import Path

from tests.cluster.conftest import freeze, tasks
from tests.sweeps.search.test_run_search import ROOT, command, outcome


def test_a_killed_controller_and_a_cancelled_job_change_no_trial(corpus_cache: Path, tmp_path: Path) -> None:
    del corpus_cache
    words = ("--trials", "2", "--set=pretrain.length=200 steps")  # long enough to be met while it trains
    calm = subprocess.run(command(tmp_path / "calm", *words), cwd=ROOT, capture_output=True, check=False)
    assert calm.returncode == 0, calm.stderr
    cut = tmp_path / "cut"
    line = command(cut, *words, "--cluster", "slurm")
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
    freeze(cut)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (task,) = tasks(cut, "R")
    subprocess.run(["scancel", task], check=True)
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert outcome(cut) == outcome(tmp_path / "calm")
    submitted = [path.parent.name for path in (cut / "jobs").glob("*/record.json")]
    assert len(submitted) == len(outcome(cut)[1]) + 1  # one at a time; the cancelled one twice
