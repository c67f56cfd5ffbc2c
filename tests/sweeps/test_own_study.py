"""A study of your own as its users meet it: given in another folder, then known by its name, and shown."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.small_config import QUICK

ROOT = Path(__file__).parents[2]
STUDY = """
from sweeps.definition import Sweep, choices
SWEEP: Sweep = Sweep("Clean or masked", points=choices("objective.contrast", ("masked", "clean")))
"""


def call(folder: Path, script: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A script of the repository, called in another folder and with no help from PYTHONPATH."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    line = [sys.executable, str(ROOT / script), *words]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def sweep(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    quick = [f"--set={key}={value}" for key, value in {**QUICK, "finetune.length": "1 epochs"}.items()]
    return call(folder, "sweeps/run.py", *words, *quick)


@pytest.mark.slow
def test_fields_and_a_file_from_an_empty_folder_to_figure_and_table(corpus_cache: Path, tmp_path: Path) -> None:
    del corpus_cache
    (tmp_path / "my_study.py").write_text(STUDY)
    for words in (["--vary", "mask.video=0.5", "--name", "mine"], ["my_study.py"]):
        done = sweep(tmp_path, *words, "--cluster", "local", "--jobs", "2")
        assert done.returncode == 0, done.stderr
        assert f"next: python {ROOT}/analysis/plot.py results/" in done.stdout
    (tmp_path / "my_study.py").unlink()
    for name, label in (("mine", "video 50%"), ("my_study", "contrast clean")):
        (path,) = tmp_path.glob(f"results/sweeps/{name}-tiny-*/sweep.json")
        assert [point["label"] for point in json.loads(path.read_text())["points"]] == ["base", label]
        status = sweep(tmp_path, name, "--status")
        assert "2 done" in status.stdout, status.stderr
        assert "2 cached, 0 would start" in sweep(tmp_path, name, "--dry-run").stdout
    assert sweep(tmp_path, "--vary", "mask.video=0.5", "--name", "mine", "--status").stdout.count("done") >= 1
    listed = sweep(tmp_path, "--list").stdout
    assert "saved   Video mask ratio" in listed
    assert "saved   Clean or masked" in listed
    for script, made in (("analysis/plot.py", "figures/{}.png"), ("analysis/table.py", "tables/{}.md")):
        shown = call(tmp_path, script, "results", "--only", "mine")
        assert shown.returncode == 0, shown.stderr
        assert (tmp_path / "results" / made.format(path.parent.name.replace("my_study", "mine"))).is_file()
    assert (
        "video 50%" in (tmp_path / "results/tables" / f"{path.parent.name}.md".replace("my_study", "mine")).read_text()
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope.py"], "nope.py: this file is not there"),
        (["--vary", "mask.video=2"], "--vary mask.video: 2.0 is not possible"),
        (["--vary", "mask.video=0.5", "mask_ratio"], "leave one of the two out"),
        (["mask_ratio", "--zip"], "--zip: it goes with --vary"),
        (["mask_ratio", "--name", "a"], "--name: it goes with --vary"),
        (["mask_ratio", "--dry-run", "--cluster", "lab"], "clusters/lab.toml"),
    ],
)
def test_bad_input_starts_nothing(words: list[str], message: str, tmp_path: Path) -> None:
    done = sweep(tmp_path, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_cluster_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters/lab.toml").write_text("partition = 3\n")
    done = sweep(tmp_path, "mask_ratio", "--dry-run", "--cluster", "lab")
    assert "clusters/lab.toml, partition: 3 is not text" in done.stderr
