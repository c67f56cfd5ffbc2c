"""A search on a real SLURM: its controller is killed, its job cancelled, the same command given again."""

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

from tests.cluster.conftest import freeze, submitted, tasks, wait_until
from tests.sweeps.search.test_run_search import ROOT, command, outcome


def results(folder: Path) -> dict[Path, tuple[int, int]]:
    """Results of finished runs, each with what changes when it is written again."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("runs/*/result.json")}


def test_a_killed_controller_and_a_cancelled_job_change_no_trial(corpus_cache: Path, tmp_path: Path) -> None:
    """The outcome is that of an undisturbed search, no trial is trained twice, the cancelled one is submitted again.

    The cancelled job may still end its run before it obeys; then the run is finished and must not be submitted again.
    """
    del corpus_cache
    words = ("--trials", "2", "--set=pretrain.length=200 steps")  # long enough to be stopped while it trains
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
    wait_until("the job is over", lambda: not tasks(cut))
    finished = results(cut)
    unfinished = set(submitted(cut)) - {path.parent.name for path in finished}
    assert len(unfinished) <= 1  # the cancelled one

    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    trials, runs = outcome(cut)
    assert [trials, runs] == outcome(tmp_path / "calm")
    assert Counter(submitted(cut)) == {run: 2 if run in unfinished else 1 for run in runs}
    assert finished.items() <= results(cut).items()
