"""What commands do not import: a help text, a list, a status or a plan needs no library that trains or draws."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.startup import imported

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "torchvision", "timm", "transformers", "tokenizers", "pandas", "optuna", "sqlalchemy", "scipy",
         "matplotlib", "submitit", "av", "decord", "huggingface_hub", "wandb", "PIL"}  # fmt: skip
SWEEP, VARY = ("sweeps/run.py", "mask_ratio"), ("sweeps/run.py", "--vary", "mask.video=0.5")


def packages(folder: Path, *words: str) -> set[str]:
    """Names of the packages that a command imports."""
    line = [sys.executable, "-X", "importtime", *words]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(folder.iterdir())
    actual = {name.partition(".")[0] for name in imported(done.stderr)}
    assert "simvtp" in actual  # what is imported is seen
    return actual


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (("sweeps/run.py", "--help"), {"numpy"}),
        (("sweeps/run.py", "--list"), {"numpy"}),
        ((*SWEEP, "--status"), {"numpy"}),
        ((*VARY, "--status"), {"numpy"}),
        ((*SWEEP, "--dry-run", "--cluster", "local"), set()),  # the spec of the embedded corpus is read
        ((*VARY, "--dry-run", "--cluster", "debug"), set()),
        (("-m", "simvtp", "--help"), {"numpy", "rich"}),
        (("analysis/plot.py", "--help"), {"numpy"}),
        (("analysis/report.py", "--help"), {"numpy", "jinja2"}),
        (("analysis/reconstruct.py", "--help"), {"numpy"}),
        (("-m", "simvtp.run", "--help"), {"numpy"}),
        (("-m", "simvtp.config", "show", "base"), {"numpy"}),
    ],
)
def test_no_heavy_library(words: tuple[str, ...], more: set[str], tmp_path: Path) -> None:
    results = ("--results", str(tmp_path)) if words[0] == "sweeps/run.py" else ()
    assert not packages(tmp_path, *words, *results) & (HEAVY | more)
