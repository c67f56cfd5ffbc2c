"""Sweeps on a real SLURM: `make test-cluster` brings one up. The campaign beside does the same at random."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster.conftest import CHANGES, submitted, tasks, wait_until
from tests.sweeps.test_command import ROOT, call, command, outcomes

DIVERGES = {"pretrain.lr": "1e30", "pretrain.lr_start": "1e30"}  # the loss is not finite: pre-training fails


def environments(results: Path) -> list[dict[str, str]]:
    """What SLURM said of itself to the job of each run."""
    return [json.loads(path.read_text())["slurm"] for path in sorted(results.glob("runs/*/environment.json"))]


def locks(results: Path) -> list[Path]:
    return list(results.glob("sweeps/*/lock"))


def pid_of(output: str) -> int:
    """Of the controller that `--detach` started, by what it printed."""
    return int(output.partition("process ")[2].partition(";")[0])


def wait_for_log(results: Path) -> str:
    """The first running task once some run has logged a step."""
    return wait_until("a job trains", lambda: list(results.rglob("log.jsonl")) and tasks(results, "R"))[0]


def test_requeued_signalled_and_cancelled_jobs_end_as_undisturbed_ones(undisturbed: list[str], tmp_path: Path) -> None:
    line = command(tmp_path / "cut", "objectives", "--cluster", "auto", "--jobs", "2", changes=CHANGES)
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out)
    for fault in (["scontrol", "requeue"], ["scancel", "--signal=USR2"], ["scancel"]):
        subprocess.run([*fault, wait_for_log(tmp_path / "cut")], check=False)
        time.sleep(2)
    assert process.wait(timeout=240) == 0, (tmp_path / "out").read_text()
    assert list(outcomes(tmp_path / "cut").values()) == undisturbed
    assert all("SLURM_JOB_ID" in slurm for slurm in environments(tmp_path / "cut"))


def test_small_runs_share_a_job_and_its_gpu_and_long_arrays_are_split(
    undisturbed: list[str], cluster: Callable[[str], str], tmp_path: Path
) -> None:
    """Five runs, three a job, on a cluster whose arrays have at most four tasks; then one a job: two arrays."""
    shared = cluster("pack = 3\ngpus = 1\n")
    dry = call(tmp_path, "objectives", "--cluster", shared, "--dry-run", changes=CHANGES)
    assert "would submit 2 jobs in 1 arrays" in dry.stdout
    split = call(tmp_path, "objectives", "--cluster", "slurm", "--dry-run", changes=CHANGES)
    assert "would submit 5 jobs in 2 arrays" in split.stdout
    line = command(tmp_path, "objectives", "--cluster", shared, changes=CHANGES)
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out)
    seen: dict[str, set[str]] = {}

    def gpus() -> object:
        """Job -> GPUs that its runs see, as long as they live."""
        for path in tmp_path.glob("runs/*/lock"):
            try:
                owner = json.loads(path.read_text())
                words = Path(f"/proc/{owner['pid']}/environ").read_bytes().decode().split("\0")
            except (OSError, ValueError):
                continue
            fields = dict(word.partition("=")[::2] for word in words)
            seen.setdefault(fields["SLURM_JOB_ID"], set()).add(f"{owner['pid']} on {fields['CUDA_VISIBLE_DEVICES']}")
        return process.poll() is not None

    wait_until("the sweep ends", gpus, 240)
    assert process.wait() == 0, (tmp_path / "out").read_text()
    assert list(outcomes(tmp_path).values()) == undisturbed
    jobs = [slurm["SLURM_JOB_ID"] for slurm in environments(tmp_path)]
    assert sorted(jobs.count(job) for job in set(jobs)) == [2, 3]
    assert any(len(processes) == 3 for processes in seen.values())
    assert all(len({text.partition(" on ")[2] for text in processes}) == 1 for processes in seen.values())


def test_a_run_over_two_nodes_goes_on_after_a_requeue(cluster: Callable[[str], str], tmp_path: Path) -> None:
    changes = {**CHANGES, "pretrain.length": "100 steps"}
    where = cluster("nodes = 2\ntasks = 2\n")
    refused = call(tmp_path, "contrast_inputs", "--cluster", where, "--pack", "2", changes=changes)
    assert refused.returncode == 2
    assert "ask for one of the two" in refused.stderr
    line = command(tmp_path, "contrast_inputs", "--cluster", where, "--jobs", "1", changes=changes)
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out)
    task = wait_for_log(tmp_path)
    subprocess.run(["scontrol", "requeue", task], check=True)
    assert process.wait(timeout=240) == 0, (tmp_path / "out").read_text()
    results = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/result.json")]
    assert results
    assert {result["cost"]["devices"] for result in results} == {4}
    assert all(int(slurm["SLURM_JOB_NUM_NODES"]) == 2 for slurm in environments(tmp_path))


def test_a_sweep_left_behind_is_found_again_and_cancelled_run_by_run_and_whole(
    corpus_cache: Path, tmp_path: Path
) -> None:
    """Runs so long that none but the one without pre-training ends; no job is submitted twice."""
    del corpus_cache
    words, changes = ("objectives", "--cluster", "slurm", "--jobs", "1"), {"pretrain.length": "100000 steps"}
    left = call(tmp_path, *words, "--detach", changes=changes)
    assert left.returncode == 0, left.stderr
    wait_until("a stage trains", lambda: list(tmp_path.glob("pretrained/*/log.jsonl")))
    begun = {path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("runs/*/config.json")}
    run = next(run for run, start in begun.items() if start["config"]["pretrain.length"] == "100000 steps")
    os.kill(pid_of(left.stdout), signal.SIGKILL)  # the machine that it was left on is gone; its jobs are not
    task = tasks(tmp_path, "R")
    assert "1 runs are cancelled" in call(tmp_path, *words, "--cancel", run, changes=changes).stdout
    wait_until("its job ends", lambda: not set(task) <= set(tasks(tmp_path, "R")))
    wait_until("a checkpoint is written", lambda: list(tmp_path.glob("pretrained/*/checkpoints/step-*.pt")))
    again = pid_of(call(tmp_path, *words, "--detach", changes=changes).stdout)
    wait_until("it holds the sweep", lambda: any(f'"pid": {again}' in path.read_text() for path in locks(tmp_path)))
    line = command(tmp_path, *words, changes=changes)
    attached = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert attached.stderr is not None
    assert attached.stderr.readline().startswith("attached: process")
    assert "runs are cancelled" in call(tmp_path, *words, "--cancel", changes=changes).stdout
    _, said = attached.communicate(timeout=120)
    assert attached.returncode == 1
    assert said.count("Cancelled: by --cancel") >= 4
    wait_until("SLURM has no job of it", lambda: not tasks(tmp_path), 60)
    items = submitted(tmp_path)
    assert run in items
    assert len(items) == len(set(items))  # however many arrays they went into before the controller was killed
    assert "CANCELLED" in call(tmp_path, *words, "--why", run, changes=changes).stdout
    retried = call(tmp_path, *words, "--retry", "failed", "--dry-run", changes=changes)
    assert f"{said.count('Cancelled: by --cancel')} would start" in retried.stdout


def test_a_shared_stage_that_fails_fails_its_runs_and_leaves_nothing_waiting(
    corpus_cache: Path, tmp_path: Path
) -> None:
    del corpus_cache
    done = call(tmp_path, "finetune_lr", "--cluster", "slurm", changes=CHANGES | DIVERGES)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("NotFinite") >= 4
    assert "pre-training" in done.stderr
    (stage,) = tmp_path.glob("pretrained/*/failure.json")
    assert json.loads(stage.read_text())["attempts"] == 1
    wait_until("SLURM has no job of it", lambda: not tasks(tmp_path), 30)


def test_alike_failures_stop_the_sweep_before_the_rest_is_burnt(corpus_cache: Path, tmp_path: Path) -> None:
    del corpus_cache
    done = call(tmp_path, "mask_grid", "--cluster", "slurm", "--jobs", "1", changes=CHANGES | DIVERGES)
    assert done.returncode == 1, done.stderr
    assert "stopping: the first 3 failures are alike" in done.stderr
    assert len(list(tmp_path.glob("pretrained/*/failure.json"))) < 12
    wait_until("SLURM has no job of it", lambda: not tasks(tmp_path), 30)


def test_a_cancelled_run_leaves_those_beside_it_in_its_job_alone(
    corpus_cache: Path, cluster: Callable[[str], str], tmp_path: Path
) -> None:
    del corpus_cache
    words, changes = ("objectives", "--cluster", cluster("pack = 3\n")), {**CHANGES, "pretrain.length": "150 steps"}
    line = command(tmp_path, *words, changes=changes)
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out)
    wait_until("two stages train", lambda: len(list(tmp_path.glob("pretrained/*/checkpoints/step-*.pt"))) > 1)
    run = next(path.parent.name for path in tmp_path.glob("runs/*/config.json") if '"150 steps"' in path.read_text())
    assert "1 runs are cancelled" in call(tmp_path, *words, "--cancel", run, changes=changes).stdout
    assert process.wait(timeout=240) == 1, (tmp_path / "out").read_text()
    assert len(list(tmp_path.glob("runs/*/result.json"))) == 4
    assert not (tmp_path / "runs" / run / "result.json").exists()
    assert len(list((tmp_path / "jobs").glob("*/record.json"))) == 1  # nobody was submitted again


def test_a_cancelled_sweep_takes_its_shared_stage_with_it(corpus_cache: Path, tmp_path: Path) -> None:
    """But not where a run that is left waits for it."""
    del corpus_cache
    words, changes = ("finetune_lr", "--cluster", "slurm"), {"pretrain.length": "100000 steps"}
    assert call(tmp_path, *words, "--detach", changes=changes).returncode == 0
    wait_until("the stage trains", lambda: list(tmp_path.glob("pretrained/*/log.jsonl")))
    run = next(path.parent.name for path in tmp_path.glob("runs/*/job.json"))
    call(tmp_path, *words, "--cancel", run, changes=changes)
    wait_until("its own job is gone", lambda: len(tasks(tmp_path)) == 4)
    assert len(tasks(tmp_path, "R")) == 1
    call(tmp_path, *words, "--cancel", changes=changes)
    wait_until("SLURM has no job of it", lambda: not tasks(tmp_path), 60)


def test_a_shared_stage_whose_job_dies_in_setup_fails_after_three(
    corpus_cache: Path, cluster: Callable[[str], str], tmp_path: Path
) -> None:
    del corpus_cache
    where = cluster('setup = ["echo module: no such thing", "exit 3"]\n')
    done = call(tmp_path, "finetune_lr", "--cluster", where, changes=CHANGES)
    assert done.returncode == 1, done.stderr
    (stage,) = tmp_path.glob("pretrained/*/failure.json")
    failure = json.loads(stage.read_text())
    assert failure["deaths"] == 3
    assert failure["log"] == ["module: no such thing"]
    assert len(list(tmp_path.glob("runs/*/failure.json"))) == 4
    wait_until("SLURM has no job of it", lambda: not tasks(tmp_path), 30)


def test_what_slurm_never_takes_is_said_before_anything_is_submitted(
    cluster: Callable[[str], str], tmp_path: Path
) -> None:
    for words in ((), ("--dry-run",), ("--detach",)):
        done = call(tmp_path / "results", "finetune_lr", "--cluster", cluster('partition = "nosuch"\n'), *words)
        assert done.returncode == 2
        assert "Invalid partition name" in done.stderr or "invalid partition" in done.stderr
    assert not list(tmp_path.rglob("record.json"))
