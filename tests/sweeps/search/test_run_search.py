"""The search as its users meet it: real, very short runs, killed and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from simvtp.config import run_dirs
from simvtp.config.presets import preset
from simvtp.runtime.files import write_json
from simvtp.training.trackers import VARIABLE
from sweeps.ablations.search import SEARCH
from sweeps.plan import Run
from sweeps.search.controller import SearchController
from sweeps.search.space import Space
from sweeps.search.spec import SearchSpec
from sweeps.state.run_states import RunRegistry
from sweeps.study.storage import Copy, Journal
from tests.small_config import QUICK

ROOT = Path(__file__).parents[3]


def command(results: Path, *words: str) -> list[str]:
    changes = {**QUICK, "finetune.length": "1 epochs", "machine.checkpoint_seconds": "0.2"}
    settings = [f"--set={key}={value}" for key, value in changes.items()]
    line = [sys.executable, "sweeps/run.py", "search", "--rungs", "1/4,1", "--over", "mask.video,mask.text"]
    return [*line, "--cluster", "local", "--jobs", "1", "--results", str(results), *settings, *words]


def outcome(results: Path) -> list[Any]:
    """What the study holds, and what every run found."""
    (folder,) = (results / "sweeps").glob("search-*")
    actual = Copy(Journal(folder / "study.journal"), folder.name).open().get_all_trials(0)
    runs = {path.parent.name: json.loads(path.read_text()) for path in results.glob("runs/*/result.json")}
    return [
        [(trial.number, trial.state.name, trial.params, trial.intermediate_values, trial.value) for trial in actual],
        {name: (run["metrics"], run["ranks"]) for name, run in sorted(runs.items())},
    ]


@pytest.mark.slow
def test_kill_9_in_the_middle_and_the_same_command_again_end_as_an_undisturbed_search(
    corpus_cache: Path, tmp_path: Path
) -> None:
    del corpus_cache
    calm = subprocess.run(
        command(tmp_path / "calm", "--trials", "2"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert calm.returncode == 0, calm.stderr
    assert "best: trial" in calm.stdout
    line, until = command(tmp_path / "killed", "--trials", "2"), time.monotonic() + 120
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
    while not list((tmp_path / "killed").glob("runs/*/result.json")) and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(3)  # the second run is at work
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "calm")
    assert not list(tmp_path.rglob("failure.json"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").rglob("result.json")}
    status = subprocess.run([*line, "--status"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"{[t[1] for t in outcome(tmp_path / 'killed')[0]].count('COMPLETE')} complete" in status.stdout
    once_more = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert once_more.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").rglob("result.json")} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", "--trials", "0"], "--trials 0: it takes a whole number from 1"),
        (["mask_ratio", "--trials", "3"], "--trials: that is for a search, such as search"),
        (["mask_ratio", "--storage", "sqlite:///x.db"], "--storage: that is for a search"),
        (["search", "--storage", "geheim"], "--storage: that is no URL of a database"),
        (["serch"], "did you mean 'search'"),
        (["search", "--scalars", "tensorbord"], f"{VARIABLE}: 'tensorbord' is not known"),
        (["search", "--log", "abc"], "has no such run"),
    ],
)
def test_bad_input_starts_nothing(words: list[str], message: str, tmp_path: Path) -> None:
    line = [sys.executable, "sweeps/run.py", *words, "--results", str(tmp_path / "results")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_dry_run_says_what_it_comes_to(tmp_path: Path) -> None:
    line = command(tmp_path, "--trials", "16", "--dry-run")
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mask.video: 0.5 to 0.95, in steps of 0.05" in done.stdout
    # 16 at a quarter and the best quarter of them, 4, in full: 16 / 4 + 4
    assert "about 16 runs at 1/4, 4 runs at 1 of both schedules: the work of 8 full runs" in done.stdout
    assert not list(tmp_path.iterdir())


class AtOnce:
    """An executor where a run has its result as soon as it is submitted."""

    capacity, poll_seconds, stops_with_controller, has_queue = 4, 0.0, False, True

    def __init__(self, registry: RunRegistry) -> None:
        self.registry = registry

    def attach(self, runs: Sequence[Run]) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        score = {"text_to_video": {"R@1": 10.0}}
        for run in runs:
            cost = {"pretrain_seconds": 1.0, "finetune_seconds": 1.0, "device": "cpu"}
            metrics = {"test": score, "validation": score}
            result = {"version": 1, "run": run.id, "cost": cost, "metrics": metrics}
            write_json(self.registry.folder(run.id) / "result.json", result)
        return {run.id: run.id for run in runs}

    def is_pending(self, job: Any) -> bool:  # noqa: ARG002
        return False

    def is_over(self, job: Any) -> bool:  # noqa: ARG002
        return True


def test_runs_of_a_long_search_go_into_deeper_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_dirs, "FEW", 3)
    registry = RunRegistry(tmp_path)
    actual = SearchSpec("search", SEARCH, Space(SEARCH, preset("tiny"), (0,)), "tiny", 8, None)
    trials = actual.study(registry)
    states = SearchController(actual, registry, trials, AtOnce(registry), "command").run()  # type: ignore[arg-type]
    trials.close()
    assert {state.name for state in states.values()} == {"done"}
    assert len(states) >= 8
    assert len(run_dirs.folders_of(tmp_path, run_dirs.RUNS)) == len(states)
    flat = [path for path in (tmp_path / "runs").iterdir() if len(path.name) > 2]
    assert len(flat) <= 3
