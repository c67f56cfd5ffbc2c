"""Every command of the tutorials runs as it stands, in the order of the page and in its own folder.

Sweeps are planned for this machine (`--dry-run`) and not trained; single runs train for a few steps.
"""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from simvtp.config.presets import preset
from simvtp.config.run_id import run_id
from simvtp.config.schema import override
from simvtp.data.corpora.registry import load
from simvtp.data.resolve import resolved
from sweeps.executors import cluster_config
from sweeps.state.failures import write_failure
from sweeps.state.run_states import RunRegistry
from tests.analysis import folders
from tests.small_config import CORPUS, QUICK

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHOWS = {"--list", "--status", "--log", "--why", "--cancel"}  # options of a sweep with which it trains nothing
SHORT = {**QUICK, "pretrain.length": "2 steps", "pretrain.warmup": "1 steps", "finetune.length": "1 epochs"}
SHORT_OF_ANY_CORPUS = {key: value for key, value in SHORT.items() if not key.startswith("data.")}

pytestmark = pytest.mark.slow


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in a language; those of commands name none."""
    return [text for kind, text in FENCE.findall((ROOT / "docs" / page).read_text()) if kind == language]


def run_page(page: str, folder: Path, changes: Mapping[str, str] | None = None) -> None:
    """Runs the commands of a page in `folder`. changes: config fields of what trains, so that it is quick."""
    lines = "".join(blocks(page, "")).replace("\\\n", " ").splitlines()
    typed = [words for line in lines if (words := shlex.split(line, comments=True))]
    assert typed
    for words in typed:
        run_words(_line(words, folder, changes or {}), folder)


def _line(words: list[str], folder: Path, changes: Mapping[str, str]) -> list[str]:
    """What is run for a command of a page."""
    if words[0] == "make":
        return ["make", "-n", "-C", str(ROOT), *words[1:]]
    if words[0] == "cp":
        return words
    assert words[0] == "python"
    program = words[2] if words[1] == "-m" else words[1]
    rest = words[words.index(program) + 1 :]
    if program == "sweeps/run.py":
        if "--cluster" in rest:
            named = rest.index("--cluster") + 1
            cluster_config.read(str(folder / f"clusters/{rest[named]}.toml"))
            rest[named] = "local"
        else:
            rest += ["--cluster", "local"]
        rest = [word for word in rest if word != "--detach"] + ([] if SHOWS & {*rest} else ["--dry-run"])
    if program in ("sweeps/run.py", "simvtp.run"):
        rest += [f"--set={key}={value}" for key, value in changes.items()]
    if "results/runs/ID" in rest:
        (run,) = folder.glob("results/runs/*")
        rest[rest.index("results/runs/ID")] = str(run)
    return [sys.executable, *(["-m", program] if words[1] == "-m" else [str(ROOT / program)]), *rest]


def run_words(line: list[str], folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(line)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_first_day(tmp_path: Path) -> None:
    folders.Builder(tmp_path / "results", queries=60).sweep("mask_ratio")
    run_page("index.md", tmp_path)
    assert (tmp_path / "results/report.html").is_file()


@pytest.mark.usefixtures("corpus_cache")
def test_own_corpus(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (header,) = (block.splitlines()[0].split(",") for block in blocks("own_corpus.md", "csv"))
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(header)
        for split, count in (("train", 32), ("val", 8), ("test", 8)):
            for sample in load(CORPUS, split).samples[:count]:
                name = f"clips/{len(list(tmp_path.glob('clips/*'))) + 1:04}{sample.path.suffix}"
                shutil.copy(sample.path, tmp_path / name)
                rows.writerow([name, sample.captions[0], split])
    run_page("own_corpus.md", tmp_path, SHORT_OF_ANY_CORPUS)
    assert list(tmp_path.rglob("matches.png"))
    assert len(list(tmp_path.parent.glob("prepared/**/*.mp4"))) == 48
    (source,) = blocks("own_corpus.md", "python")
    run_words([sys.executable, "-c", f"{source}\nassert scores.shape == (1, 1)"], tmp_path)


def test_own_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = blocks("sweeps.md", "python")
    (tmp_path / "my_study.py").write_text(source)
    monkeypatch.setitem(folders.SWEEPS, "by_hand", [("base", {}, 20.0), ("video 50%", {"mask.video": 0.5}, 22.0)])
    monkeypatch.setitem(folders.AXES, "by_hand", ["mask.video"])
    folders.Builder(tmp_path / "results", queries=60).sweep("by_hand", seeds=(0, 1, 2))
    run_page("sweeps.md", tmp_path)


@pytest.mark.usefixtures("corpus_cache")
def test_own_objective(tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples/masked_features.py", tmp_path / "my_plugin.py")
    run_page("extend.md", tmp_path, SHORT)


def _failed_run(results: Path) -> None:
    """A run of sweep mask_ratio, point `video 50%`, whose job has ended with an error."""
    folder = RunRegistry(results).folder(run_id(resolved(override(preset("tiny"), {"mask.video": 0.5}))))
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs/1_0_log.out").write_text("step 5\n")
    failure = {"run": folder.name, "stage": "pretrain", "step": 5, "error": "OSError: no room", "kind": "error"}
    write_failure(folder, failure | {"traceback": ""})


def test_cluster(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "clusters", tmp_path / "clusters")
    (keys,) = blocks("cluster.md", "toml")
    _failed_run(tmp_path / "results")
    (tmp_path / "kept.toml").write_text(keys)
    assert cluster_config.read(str(tmp_path / "kept.toml")).gpus == 1
    run_page("cluster.md", tmp_path)


def test_paper(tmp_path: Path) -> None:
    for name in ("results", "earlier"):
        folders.Builder(tmp_path / name, queries=60).sweep("mask_ratio", seeds=(0, 1))
    run_page("paper.md", tmp_path)
    assert (tmp_path / "results/figures/mask_ratio-tiny.pdf").is_file()
    assert (tmp_path / "results/all.tex").is_file()
    (source,) = blocks("paper.md", "python")
    run_words([sys.executable, "-c", source], tmp_path)
