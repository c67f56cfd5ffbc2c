"""Sweeps on a real SLURM: `make test-cluster` brings one up."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.sweeps.test_command import ROOT, call, command, outcomes

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        shutil.which("sbatch") is None or "SLURM_CONF" not in os.environ,
        reason="no SLURM on this machine; `make test-cluster` brings one up",
    ),
]


def running() -> list[str]:
    """Ids of array tasks at work."""
    done = subprocess.run(["squeue", "-h", "-r", "-t", "R", "-o", "%i"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def wait_for_log(results: Path) -> str:
    """The first running task once some run of it has logged a step."""
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if list(results.rglob("log.jsonl")) and running():
            return running()[0]
        time.sleep(0.2)
    raise TimeoutError("no job of the sweep began to train")


def test_requeued_signalled_and_cancelled_jobs_end_as_undisturbed_ones(corpus_cache: Path, tmp_path: Path) -> None:
    del corpus_cache
    changes = {"pretrain.length": "60 steps", "machine.checkpoint_seconds": "0.2"}
    plain = call(tmp_path / "plain", "objectives", "--cluster", "debug", changes=changes)
    assert plain.returncode == 0, plain.stderr
    line = command(tmp_path / "cut", "objectives", "--cluster", "auto", "--jobs", "2", changes=changes)
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out)
    for fault in (["scontrol", "requeue"], ["scancel", "--signal=USR2"], ["scancel"]):
        subprocess.run([*fault, wait_for_log(tmp_path / "cut")], check=False)
        time.sleep(2)
    assert process.wait(timeout=240) == 0, (tmp_path / "out").read_text()
    assert list(outcomes(tmp_path / "cut").values()) == list(outcomes(tmp_path / "plain").values())
    environments = [json.loads(path.read_text()) for path in (tmp_path / "cut").rglob("environment.json")]
    assert all("SLURM_JOB_ID" in environment["slurm"] for environment in environments)
