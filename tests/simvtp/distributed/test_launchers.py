"""The same command under torchrun and under the tasks of a Submitit job."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import submitit

from simvtp.config.experiment import Experiment
from simvtp.config.presets import preset
from simvtp.config.run_id import run_id
from simvtp.config.schema import override
from simvtp.run import run


def devices(results: Path) -> int:
    """Processes that the only result below `results` came from."""
    (path,) = results.rglob("result.json")
    return int(json.loads(path.read_text())["cost"]["devices"])


@pytest.mark.slow
def test_torchrun(quick: dict[str, str], tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    words = [f"--set={key}={value}" for key, value in quick.items()]
    done = subprocess.run(
        [*torchrun, "simvtp.run", *words, "--results", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("retrieval in percent") == 1
    assert devices(tmp_path) == 2


@pytest.mark.slow
def test_tasks_of_a_submitit_job(quick: dict[str, str], tmp_path: Path) -> None:
    config = override(preset("tiny"), quick)
    executor = submitit.LocalExecutor(tmp_path / "jobs")
    executor.update_parameters(tasks_per_node=2, timeout_min=5)
    job = executor.submit(run, Experiment(config, "tiny", tmp_path / "results"))
    assert job.results() == [tmp_path / "results" / "runs" / run_id(config) / "result.json"] * 2
    assert devices(tmp_path / "results") == 2
