import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simvtp.config.presets import preset
from sweeps.executors.base import JobEnd
from sweeps.executors.choose import make_executor
from sweeps.executors.local import Local, LocalJob, visible_gpus
from sweeps.plan import make_plan
from sweeps.state.run_states import RunRegistry


@pytest.mark.parametrize(
    ("named", "gpus"),
    [
        ("2,3", ["2", "3"]),
        ("", []),
        ("0", ["0"]),
        ("GPU-8f0e, MIG-77", ["GPU-8f0e", "MIG-77"]),
        ("NoDevFiles", []),
    ],
)
def test_gpus_are_those_that_this_process_may_use(named: str, gpus: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == gpus


def sleeper(slot: int = 0) -> LocalJob:
    words = [sys.executable, "-c", "import time; time.sleep(600)"]
    return LocalJob(subprocess.Popen(words, start_new_session=True), Path("none"), slot)


def test_runs_at_once_have_cores_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3, 6})
    two, many = Local(RunRegistry(tmp_path), "tiny", 2), Local(RunRegistry(tmp_path), "tiny", 9)
    assert [two.cores_of(slot) for slot in (0, 1)] == [[0, 1], [2, 3]]
    assert many.cores_of(4) == [0, 1, 2, 3, 6]
    for slot in (0, 1):
        assert two._free_slot() == slot
        two.started.append(sleeper(slot))
    for job in list(two.started):
        assert not two.is_over(job)
        two.kill(job)
        assert two.is_over(job)
        assert two.end_of(job) == JobEnd.OWN
    assert two._free_slot() == 0


def test_stop_asks_and_a_stopped_process_is_killed(tmp_path: Path) -> None:
    here = Local(RunRegistry(tmp_path), "tiny", 2)
    first, frozen = sleeper(), sleeper()
    here.stop([first])
    assert first.process.returncode == -signal.SIGTERM
    os.kill(frozen.process.pid, signal.SIGSTOP)
    here.kill(frozen)
    assert frozen.process.returncode == -signal.SIGKILL


def test_a_run_starts_in_a_session_of_its_own_with_its_task_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed terminal sends SIGHUP to its own session alone."""
    registry = RunRegistry(tmp_path)
    run = next(iter(make_plan("objectives", "tiny", preset("tiny"), (0,)).runs.values()))
    monkeypatch.setattr("sys.executable", "/bin/sleep")
    monkeypatch.setattr("sweeps.executors.local.snapshot_code", lambda _: tmp_path / "code")
    here = Local(registry, "tiny", 1)
    monkeypatch.setattr(subprocess, "Popen", _sleeping(subprocess.Popen))
    job = here.submit([run])[run.id]
    assert os.getsid(job.process.pid) == job.process.pid != os.getsid(0)
    task = (registry.folder(run.id) / "jobs" / "task.json").read_text()
    assert run.id in task
    assert here.describe(job) == f"process {job.process.pid}"
    assert here.log_path(job) == job.log
    here.kill(job)
    until = time.monotonic() + 10
    while not here.is_over(job):
        assert time.monotonic() < until


def test_the_runs_of_a_pack_share_each_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-8f0e")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr("sweeps.executors.local.snapshot_code", lambda _: tmp_path / "code")
    runs = list(make_plan("objectives", "tiny", preset("tiny"), (0,)).runs.values())[:4]
    registry = RunRegistry(tmp_path)
    here = make_executor("local", registry, "tiny", None, 1, pack=2)
    assert here.capacity == 4
    assert here.describe_plan(runs) == ["would start 4 processes on 2 GPUs of this machine, 4 at once"]
    started: list[str] = []

    def start(_: list[str], env: dict[str, str], **options: object) -> object:
        started.append(env["CUDA_VISIBLE_DEVICES"])
        return popen(["/bin/sleep", "600"], **options)

    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", start)
    jobs = here.submit(runs).values()
    assert started == ["5", "GPU-8f0e", "5", "GPU-8f0e"]
    tasks = [json.loads((registry.folder(run.id) / "jobs" / "task.json").read_text()) for run in runs]
    assert [task["cores"] for task in tasks] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    for job in jobs:
        here.kill(job)


def _sleeping(popen: type) -> object:
    def start(words: list[str], **options: object) -> object:
        assert words[1:4] == ["-u", "-m", "sweeps.executors.job"]
        return popen(["/bin/sleep", "600"], **options)

    return start
