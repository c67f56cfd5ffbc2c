"""The command as its users meet it: whole sweeps of very short runs, killed, failed, repeated."""

import fcntl
import json
import os
import pty
import random
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from simvtp.config.formats import parse_assignments
from simvtp.config.presets import preset
from simvtp.config.schema import override
from sweeps.plan import make_plan
from sweeps.run import main
from sweeps.state.failures import write_failure
from sweeps.state.run_states import RunRegistry
from tests.small_config import CORPUS, QUICK

ROOT = Path(__file__).parent.parent.parent


def command(results: Path, *words: str, changes: dict[str, str] | None = None) -> list[str]:
    values = {**QUICK, "finetune.length": "1 epochs", **(changes or {})}
    settings = [f"--set={key}={value}" for key, value in values.items()]
    return [sys.executable, "sweeps/run.py", *words, *settings, "--results", str(results)]


def call(results: Path, *words: str, changes: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    line = command(results, *words, changes=changes)
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def outcomes(results: Path) -> dict[str, str]:
    """Run id -> everything in its result that may not depend on what happened on the way."""
    collected = {}
    for path in sorted(results.glob("runs/*/result.json")):
        result = json.loads(path.read_text())
        collected[result["run"]] = json.dumps(
            [result[key] for key in ("metrics", "controls", "ranks", "epoch", "losses")]
        )
    return collected


@pytest.fixture(scope="module")
def undisturbed(corpus_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    results = tmp_path_factory.mktemp("undisturbed")
    done = call(results, "objectives", "--cluster", "local", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    return results


@pytest.mark.slow
def test_a_sweep_trains_once_and_says_what_to_do_next(undisturbed: Path) -> None:
    assert len(outcomes(undisturbed)) == 5
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("result.json")}
    again = call(undisturbed, "objectives")
    assert again.returncode == 0
    assert "python analysis/plot.py" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in undisturbed.rglob("result.json")} == before
    dry = call(undisturbed, "paper", "--dry-run")
    assert "17 asked for, 14 different; 5 cached, 9 would start with 9 pre-trainings" in dry.stdout
    status = call(undisturbed, "objectives", "--status")
    assert "5 done" in status.stdout


@pytest.mark.slow
def test_kill_9_of_the_process_group_changes_nothing(undisturbed: Path, tmp_path: Path) -> None:
    line = command(
        tmp_path, "objectives", "--cluster", "local", "--jobs", "2", changes={"machine.checkpoint_seconds": "0.2"}
    )
    kills = 0
    for wait in (6 + random.random() * 4, 4 + random.random() * 6):
        with (tmp_path / "out").open("a") as out:
            process = subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
        try:
            process.wait(timeout=wait)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(outcomes(tmp_path).values()) == list(outcomes(undisturbed).values())


@pytest.mark.slow
def test_ctrl_c_stops_resumably_and_a_second_controller_attaches(undisturbed: Path, tmp_path: Path) -> None:
    del undisturbed  # its corpus is there
    line = command(
        tmp_path, "data_fraction", "--cluster", "local", "--jobs", "1", changes={"pretrain.length": "100000 steps"}
    )
    line += ["--set", "data.fraction=1.0", "--set", "pretrain.batch=8"]
    process = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    until = time.monotonic() + 60
    while not list(tmp_path.rglob("log.jsonl")) and time.monotonic() < until:
        time.sleep(0.1)
    second = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert second.stderr is not None
    assert f"attached: process {process.pid} on " in second.stderr.readline()
    os.killpg(second.pid, signal.SIGINT)
    assert second.wait(timeout=30) == 130
    assert process.poll() is None  # it leaves the first at work
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the jobs too
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from here" in said
    assert "Traceback" not in said
    assert list(tmp_path.rglob("step-*.pt"))
    assert not list(tmp_path.rglob("failure.json"))


@pytest.mark.slow
def test_a_closed_terminal_leaves_a_checkpoint(corpus_cache: Path, tmp_path: Path) -> None:
    """SIGHUP to the session of the controller, and its terminal is gone: nothing can be printed any more."""
    del corpus_cache
    line = command(tmp_path, "finetune_lr", "--cluster", "local", changes={"pretrain.length": "100000 steps"})
    main_side, terminal = pty.openpty()
    process = subprocess.Popen(
        line, cwd=ROOT, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(terminal)
    reader = threading.Thread(target=_drain, args=(main_side,), daemon=True)
    reader.start()
    until = time.monotonic() + 90
    while not list(tmp_path.rglob("log.jsonl")) and time.monotonic() < until:
        time.sleep(0.1)
    os.close(main_side)
    assert process.wait(timeout=60) == 130
    assert list(tmp_path.rglob("step-*.pt"))


def _drain(file: int) -> None:
    try:
        while os.read(file, 4096):
            pass
    except OSError:
        return  # closed


@pytest.mark.slow
def test_a_run_that_fails_is_recorded_the_others_go_on_and_a_retry_mends(corpus_cache: Path, tmp_path: Path) -> None:
    del corpus_cache
    changes = {**QUICK, "finetune.length": "1 epochs"}
    plan = make_plan(
        "finetune_lr", "tiny", override(preset("tiny"), parse_assignments(list(map("=".join, changes.items())))), (0,)
    )
    broken = tmp_path / "runs" / list(plan.runs)[-1]
    broken.mkdir(parents=True)
    (broken / "checkpoints").touch()  # a file where a folder should be
    first = call(tmp_path, "finetune_lr", "--cluster", "debug")
    assert first.returncode == 1
    failures = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/failure.json")]
    assert [failure["run"] for failure in failures] == [broken.name]
    assert len(outcomes(tmp_path)) == 3
    assert "--retry failed" in first.stdout
    again = call(tmp_path, "finetune_lr", "--cluster", "debug")
    assert again.returncode == 1  # not tried again unasked
    assert _json(broken / "failure.json")["attempts"] == 1
    retried = call(tmp_path, "finetune_lr", "--cluster", "debug", "--retry", "failed")
    assert retried.returncode == 1
    assert _json(broken / "failure.json")["attempts"] == 2
    (broken / "checkpoints").unlink()
    assert call(tmp_path, "finetune_lr", "--cluster", "debug", "--retry", "failed").returncode == 0
    assert len(outcomes(tmp_path)) == 4


def _json(path: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads(path.read_text())
    return content


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mask_rato"], "did you mean 'mask_ratio'"),
        ([], "name a sweep: one of batch_lengths"),
        (["mask_ratio", "--preset", "tini"], "did you mean 'tiny'"),
        (["mask_ratio", "--set", "mask.vide=0.5"], "did you mean 'mask.video'"),
        (["mask_ratio", "--set", "mask.text=1"], r"mask.text: 1.0 is not possible; it takes a number in [0, 1)"),
        (["mask_ratio", "--seeds", "0,x"], "--seeds '0,x'"),
        (["mask_ratio", "--seeds", "1,1"], "different whole numbers"),
        (["mask_ratio", "--set", "seed=4"], "a sweep takes its seeds from --seeds"),
        (["mask_ratio", "--jobs", "0"], "--jobs 0"),
        (["mask_ratio", "--cluster", "moon"], "auto, local, slurm, debug"),
        (["mask_ratio", "--cluster", "moon", "--detach"], "auto, local, slurm, debug"),
        (["mask_ratio", "--watch"], "--watch: it goes with --status"),
        (["mask_ratio", "--hung-after", "-1"], "--hung-after -1"),
        (["mask_ratio", "--set", "data.pretrain=webvid:/nope"], "/nope does not exist"),
        (["mask_ratio", "--set", "data.pretrain=webvid:/nope", "--dry-run"], "/nope does not exist"),
        (
            ["mask_ratio", "--set", f"data.finetune={CORPUS}", "--set", "finetune.batch=4096", "--detach"],
            "4096 is more than the 48 videos",
        ),
        (["mask_ratio", "--results", "/proc/none"], "cannot be written"),
        (["mask_ratio", "--results", __file__, "--status"], "that is a file"),
    ],
)
def test_bad_input_starts_nothing(words: list[str], message: str, tmp_path: Path) -> None:
    line = [sys.executable, "sweeps/run.py", *words]
    line += [] if "--results" in words else ["--results", str(tmp_path / "results")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("runs"))


def test_a_sweep_that_a_preset_cannot_do_does_not_spoil_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--preset", "base"]) == 0
    said = capsys.readouterr().out
    assert "equal compute needs a length in steps" in said
    assert "Objectives of pre-training" in said


def test_a_retry_can_be_looked_at_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = next(iter(make_plan("objectives", "tiny", preset("tiny"), (0,)).runs.values()))
    write_failure(RunRegistry(tmp_path).folder(run.id), {"error": "ValueError: x"})
    for words, starts in (([], 4), (["--retry", "failed"], 5)):
        assert main(["objectives", "--dry-run", "--results", str(tmp_path), *words]) == 0
        assert f"0 cached, {starts} would start" in capsys.readouterr().out
    assert RunRegistry(tmp_path).state(run).name == "failed"


@pytest.mark.parametrize("words", [["--cancel", "--dry-run"], ["--status", "--cancel=base"], ["--list", "--why=base"]])
def test_of_two_actions_none_is_left_out_silently(words: list[str], tmp_path: Path) -> None:
    run = next(iter(make_plan("objectives", "tiny", preset("tiny"), (0,)).runs))
    with pytest.raises(SystemExit, match="2"):
        main(["objectives", *words, "--results", str(tmp_path)])
    assert not (tmp_path / "runs" / run / "failure.json").exists()


@pytest.mark.parametrize("folder", ["", "~no-such-user/results"])
def test_a_results_folder_of_nobody_is_refused(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["objectives", "--cancel", f"--results={folder}"])
    assert not list(tmp_path.iterdir())


def test_no_name_is_no_run(tmp_path: Path) -> None:
    words = ["--vary", f"mask.video={preset('tiny').mask.video}", "--results", str(tmp_path)]  # the base alone
    assert main([*words, "--cancel", ""]) == 2
    assert not list(tmp_path.glob("runs/*"))


def test_looking_whether_results_can_be_written_leaves_files_alone(tmp_path: Path) -> None:
    (tmp_path / ".writable").write_text("mine")
    RunRegistry(tmp_path).check_writable()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(".writable", "mine")]
