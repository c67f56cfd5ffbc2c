"""What the tests on a SLURM share: sweeps of short runs there, and the same sweeps undisturbed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from simvtp.runtime.locks import holder
from sweeps.state.submissions import PREFIX
from tests.sweeps.test_command import call, outcomes

T = TypeVar("T")
CHANGES = {"pretrain.length": "60 steps", "machine.checkpoint_seconds": "0.2"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    absent = shutil.which("sbatch") is None or "SLURM_CONF" not in os.environ
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if absent:
                item.add_marker(pytest.mark.skip(reason="no SLURM here; `make test-cluster` brings one up"))


@pytest.fixture(scope="session")
def undisturbed(corpus_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:  # noqa: ARG001
    """Outcomes of sweep `objectives`, five runs that share nothing, where nothing went wrong."""
    results = tmp_path_factory.mktemp("undisturbed")
    plain = call(results, "objectives", "--cluster", "debug", changes=CHANGES)
    assert plain.returncode == 0, plain.stderr
    return list(outcomes(results).values())


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """Ends controllers and jobs of a test's results folder, which a failed one would leave to the tests after it."""
    yield
    for owner in filter(None, map(holder, tmp_path.rglob("sweeps/*/lock"))):
        os.kill(owner.pid, signal.SIGKILL)
    left = [task for path in tmp_path.rglob("jobs/open") for task in tasks(path.parent.parent)]
    if left:
        subprocess.run(["scancel", *left], check=True)


@pytest.fixture
def cluster(tmp_path: Path) -> Callable[[str], str]:
    """Gives the path of a cluster's file with the lines that it is given."""

    def write(lines: str) -> str:
        path = tmp_path / "lab.toml"
        path.write_text(lines)
        return str(path)

    return write


def tasks(results: Path, *states: str) -> list[str]:
    """Array tasks of a results folder that SLURM has, in one of these states where some are named."""
    names = ",".join(PREFIX + path.parent.name for path in (results / "jobs").glob("*/record.json"))
    if not names:
        return []
    only = ["-t", ",".join(states)] if states else []
    words = ["squeue", "-h", "-r", f"--name={names}", *only, "-o", "%i"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


def submitted(results: Path) -> list[str]:
    """Ids of the runs and stages that SLURM was given, each as often as it was given. A record without a job's number
    was written by a controller that was killed before sbatch took it."""
    records = [json.loads(path.read_text()) for path in (results / "jobs").glob("*/record.json")]
    return [item["id"] for record in records if record["job"] for task in record["tasks"] for item in task]


def wait_until(what: str, happened: Callable[[], T], seconds: float = 120, every: float = 0.2) -> T:
    """What `happened` gives, once that is true."""
    until = time.monotonic() + seconds
    while not (result := happened()):
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}"
        time.sleep(every)
    return result


def freeze(results: Path) -> None:
    """Stops the processes of runs that train: a short run could else end before the fault meant for it comes.

    SLURM wakes a stopped process when it ends its job.
    """
    wait_until("a run trains", lambda: list(results.rglob("log.jsonl")), every=0.01)
    locks = [*results.glob("pretrained/*/lock"), *results.glob("runs/*/lock")]
    owners = list(filter(None, map(holder, locks)))
    assert owners, "the run was over before it could be stopped"
    for owner in owners:
        os.kill(owner.pid, signal.SIGSTOP)
