"""How submissions are found again, and what SLURM's programs say of them; on a real SLURM, see tests/cluster."""

import errno
import json
import sys
import time
from pathlib import Path

import pytest

from simvtp.errors import ConfigError
from sweeps.executors.base import JobEnd
from sweeps.executors.choose import make_executor
from sweeps.executors.cluster_config import Cluster
from sweeps.executors.slurm import Slurm
from sweeps.state.run_states import RunRegistry
from sweeps.state.squeue import QueueSnapshot, SlurmQueue
from sweeps.state.submissions import Claim, Item, Submissions
from tests.sweeps.executors.test_job_arrays import run

EXTERNAL, OWN = JobEnd.EXTERNAL, JobEnd.OWN


def test_a_record_gives_back_the_items(tmp_path: Path) -> None:
    submissions, first, second = Submissions(tmp_path), run(0), run(1, 3)
    tasks = [[Item("run", r.id, r.config)] for r in (first, second)]
    record = submissions.open("tiny", tasks, {second.id: str(second.stage)})
    read = submissions.read(record.token)
    assert read == record
    assert read is not None
    assert [read.items(task) for task in (0, 1)] == [tuple(task) for task in tasks]
    assert submissions.claim("run", first.id) == Claim(record.token, 0)
    assert submissions.claim("run", second.id) == submissions.claim("pretrain", str(second.stage))
    assert submissions.claim("pretrain", str(first.stage)) is None
    assert submissions.open_tokens() == [record.token]
    assert submissions.set_job_id(record, "12").number(1) == "12_1"
    assert submissions.read(record.token) == submissions.set_job_id(record, "12")
    submissions.close(record.token)
    assert submissions.open_tokens() == []


def fake(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program on the path that prints a file's content, which is given back, and counts its calls."""
    place, answer = folder / "bin" / program, folder / f"{program}.answer"
    place.parent.mkdir(exist_ok=True)
    place.write_text(f'#!/bin/sh\necho "$@" >>{folder}/{program}.calls\ncat {answer}\n')
    place.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place.parent}:/usr/bin:/bin")
    return answer


def test_squeue_is_asked_once_in_ten_seconds_by_all_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submissions, r = Submissions(tmp_path), run(0)
    record = submissions.open("tiny", [[Item("run", r.id, r.config)]], {})
    fake("squeue", tmp_path, monkeypatch).write_text(f"simvtp-{record.token}|77|0|PENDING|Priority\n")
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    queues = [SlurmQueue(submissions), SlurmQueue(submissions)]
    for _ in range(3):
        for queue in queues:
            assert queue.current().state(record.token, 0) is not None
            now += 1
    assert len((tmp_path / "squeue.calls").read_text().splitlines()) == 1
    assert f"--name=simvtp-{record.token}" in (tmp_path / "squeue.calls").read_text()
    actual = submissions.read(record.token)
    assert actual is not None
    assert actual.job == "77"  # as after a kill of the controller between sbatch and its answer
    (tmp_path / "squeue.answer").write_text("")
    now += 10
    assert queues[1].current() == QueueSnapshot(now, {}, {})
    assert submissions.open_tokens() == []
    assert len((tmp_path / "squeue.calls").read_text().splitlines()) == 2
    assert json.loads((tmp_path / "jobs" / "queue.json").read_text())["tasks"] == {}


def test_who_may_only_read_the_folder_still_sees_what_slurm_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submissions, r = Submissions(tmp_path), run(0)
    record = submissions.open("tiny", [[Item("run", r.id, r.config)]], {})
    fake("squeue", tmp_path, monkeypatch).write_text(f"simvtp-{record.token}|77|0|PENDING|Priority\n")

    def refuse(path: Path, _: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("sweeps.state.squeue.write_json", refuse)
    assert SlurmQueue(submissions).current().state(record.token, 0) == ("PENDING", "Priority")


def test_accounting_is_asked_once_in_ten_seconds_by_whoever_wonders_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, now = fake("sacct", tmp_path, monkeypatch), 1000.0
    answer.write_text("7_0|PREEMPTED|n1|00:00:09|0:0\n7_0|RUNNING|n2|00:00:03|0:0\n8_0|COMPLETED|n1|00:01:00|0:0\n")

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("time.time", lambda: now)
    monkeypatch.setattr("time.sleep", sleep)
    queues = [SlurmQueue(Submissions(tmp_path)) for _ in range(2)]
    ends = {"7_0": ["PREEMPTED n1 00:00:09 0:0", "RUNNING n2 00:00:03 0:0"], "8_0": ["COMPLETED n1 00:01:00 0:0"]}
    assert [queue.accounting(["7_0", "8_0"]) for queue in queues] == [ends, ends]
    assert len((tmp_path / "sacct.calls").read_text().splitlines()) == 1
    now += 4
    assert queues[0].accounting(["9_1"]) == {}
    assert now == 1010
    assert len((tmp_path / "sacct.calls").read_text().splitlines()) == 2


def test_a_squeue_that_fails_says_nothing_of_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submissions, r = Submissions(tmp_path), run(0)
    record = submissions.open("tiny", [[Item("run", r.id, r.config)]], {})
    fake("squeue", tmp_path, monkeypatch)  # its answer is not there: it fails
    queue = SlurmQueue(submissions)
    assert queue.current() == QueueSnapshot(0.0, {}, {})
    assert submissions.open_tokens() == [record.token]


def slurm_of(folder: Path, monkeypatch: pytest.MonkeyPatch, at_once: int | None = None) -> Slurm:
    """A SLURM of programs that answer what files say: nothing is in the queue."""
    fake("sbatch", folder, monkeypatch)
    fake("squeue", folder, monkeypatch).write_text("")
    return Slurm(RunRegistry(folder), "tiny", Cluster(), at_once)


def test_accounting_is_asked_once_for_all_jobs_that_one_look_found_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = slurm_of(tmp_path, monkeypatch)
    answer, now = fake("sacct", tmp_path, monkeypatch), time.time()
    monkeypatch.setattr("time.time", lambda: now)
    submissions, claims = slurm.submissions, []
    for seed, number in ((0, "77"), (1, "78")):
        record = submissions.open("tiny", [[Item("run", r.id, r.config)] for r in (run(seed, 0), run(seed, 1))], {})
        submissions.set_job_id(record, number)
        claims += [Claim(record.token, task) for task in (0, 1)]
    answer.write_text("77_0|CANCELLED by 0\n77_1|FAILED\n78_0|COMPLETED\n")
    now += 20
    assert [slurm.is_over(claim) for claim in claims] == [True] * 4
    # 78_1 is not in accounting, and wrote nothing: it never began
    assert [slurm.end_of(claim) for claim in claims] == [EXTERNAL, OWN, OWN, EXTERNAL]
    (call,) = (tmp_path / "sacct.calls").read_text().splitlines()
    assert call.endswith("-j 77,78")
    answer.write_text("77_1|PREEMPTED\n")
    now += 20
    assert slurm.end_of(claims[1]) == EXTERNAL
    assert len((tmp_path / "sacct.calls").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("output", "end"),
    [
        ("srun: error: Task launch for StepId=77.0 failed on node n1: Protocol authentication error\n", EXTERNAL),
        ("srun: error: Application launch failed: Protocol authentication error\nsrun: Job step aborted\n", EXTERNAL),
        ("srun: error: Unable to confirm allocation for job 7: Unable to contact slurm controller\n", EXTERNAL),
        ("srun: error: n1: task 0: Exited with exit code 3\n", OWN),
        ("MemoryError\n", OWN),
    ],
)
def test_a_task_that_slurm_could_not_start_died_from_outside(
    output: str, end: JobEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm, r = slurm_of(tmp_path, monkeypatch), run(0)
    fake("sacct", tmp_path, monkeypatch).write_text("77_0|FAILED\n")
    record = slurm.submissions.open("tiny", [[Item("run", r.id, r.config)]], {})
    slurm.submissions.set_job_id(record, "77")
    path = slurm.log_path(Claim(record.token, 0))
    assert path is not None
    path.write_text(output)
    assert slurm.end_of(Claim(record.token, 0)) == end


@pytest.mark.parametrize(
    ("words", "end"),
    [("Slurm accounting storage is disabled", OWN), ("Connection refused", JobEnd.UNKNOWN)],
)
def test_no_accounting_is_not_an_accounting_that_is_away(
    words: str, end: JobEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm, r = slurm_of(tmp_path, monkeypatch), run(0)
    fake("sacct", tmp_path, monkeypatch)
    (tmp_path / "bin" / "sacct").write_text(f"#!/bin/sh\necho {words} >&2; exit 1\n")
    record = slurm.submissions.open("tiny", [[Item("run", r.id, r.config)]], {})
    slurm.submissions.set_job_id(record, "77")
    assert slurm.end_of(Claim(record.token, 0)) == end


def test_jobs_caps_the_runs_in_all_arrays_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert slurm_of(tmp_path, monkeypatch).capacity == sys.maxsize
    assert slurm_of(tmp_path, monkeypatch, at_once=3).capacity == 3
    actual = make_executor("slurm", RunRegistry(tmp_path), "tiny", 3, 1)
    assert isinstance(actual, Slurm)
    assert (actual.capacity, actual.cluster.parallel) == (3, Cluster().parallel)


def test_a_busy_accounting_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its daemon was away while a task was cancelled: first no answer, then an old one, then the truth."""
    slurm, r = slurm_of(tmp_path, monkeypatch), run(0)
    answer = fake("sacct", tmp_path, monkeypatch)
    record = slurm.submissions.open("tiny", [[Item("run", r.id, r.config)]], {})
    slurm.submissions.set_job_id(record, "77")
    claim, now = Claim(record.token, 0), time.time()
    monkeypatch.setattr("time.time", lambda: now)
    assert slurm.end_of(claim) == JobEnd.UNKNOWN
    answer.write_text("77_0|RUNNING\n")
    assert slurm.end_of(claim) == JobEnd.UNKNOWN
    answer.write_text("77_0|CANCELLED by 0\n")
    now += 20
    assert slurm.end_of(claim) == EXTERNAL


def test_the_job_that_pre_trains_is_the_stage_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slurm, r, own = slurm_of(tmp_path, monkeypatch), run(0), Claim("own", 3)
    assert slurm.stage_job(r, own) == own
    record = slurm.submissions.open("tiny", [[Item("pretrain", str(r.stage), r.config)]], {})
    assert slurm.stage_job(r, own) == Claim(record.token, 0)


@pytest.mark.parametrize("name", ["keep50%all", "a\\b"])
def test_a_results_path_that_slurm_would_change_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake("sbatch", tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="cannot write the output of jobs"):
        Slurm(RunRegistry(tmp_path / name), "tiny", Cluster())


def test_a_job_that_no_node_can_start_is_released_three_times_then_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submissions, r = Submissions(tmp_path), run(0)
    record = submissions.open("tiny", [[Item("run", r.id, r.config)]], {})
    line = f"simvtp-{record.token}|77|0|PENDING|launch failed requeued held\n"
    for program, text in (("squeue", line), ("scontrol", ""), ("scancel", "")):
        fake(program, tmp_path, monkeypatch).write_text(text)
    queue, now = SlurmQueue(submissions), time.time()
    monkeypatch.setattr("time.time", lambda: now)
    for _ in range(4):
        queue.current()
        now += 11
    assert (tmp_path / "scontrol.calls").read_text() == "release 77_0\n" * 3
    assert (tmp_path / "scancel.calls").read_text() == "77_0\n"
