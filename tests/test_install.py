"""The package as `pip install .` leaves it: which names it takes, and that `simvtp` works from any folder."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simvtp.__main__ import COMMANDS, main
from tests.small_config import QUICK

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed package, without what it depends on."""
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*line, "--target", folder, ROOT], check=True)
    return folder


def simvtp(site: Path, folder: Path, *words: str) -> str:
    """What the installed command prints, called in another folder."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    line = [sys.executable, str(site / "bin" / "simvtp"), *words]
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_site_packages_has_no_package_but_simvtp(site: Path) -> None:
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} == {"simvtp", "bin"}


def test_commands_of_the_installed_package(site: Path, tmp_path: Path) -> None:
    assert "\n  sweep        run an ablation" in simvtp(site, tmp_path, "--help")
    assert "8 asked for" in simvtp(site, tmp_path, "sweep", "mask_ratio", "--dry-run", "--cluster", "local")
    assert simvtp(site, tmp_path, "table", "--help").startswith("usage: simvtp table ")


def test_imports_of_the_installed_package(site: Path, tmp_path: Path) -> None:
    program = """
from simvtp import analysis
from sweeps.executors import cluster_config
print(analysis.__file__, *cluster_config.names())
"""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{site}/simvtp/_commands/analysis/__init__.py example\n"


@pytest.mark.slow
def test_a_sweep_of_the_installed_package_to_its_figure(site: Path, corpus_cache: Path, tmp_path: Path) -> None:
    del corpus_cache
    quick = [f"--set={key}={value}" for key, value in {**QUICK, "finetune.length": "1 epochs"}.items()]
    words = ("sweep", "--vary", "mask.video=0.5", "--name", "mine", "--cluster", "local", *quick)
    assert "next: simvtp plot results/ && simvtp table results/" in simvtp(site, tmp_path, *words)
    (code,) = tmp_path.glob("results/code/*")
    assert {path.name for path in code.iterdir()} == {"simvtp", "sweeps", "code.json"}
    assert not (code / "simvtp" / "_commands").exists()
    simvtp(site, tmp_path, "plot", "--format", "png")
    assert len(list(tmp_path.glob("results/figures/mine-*-cost.png"))) == 1


def test_every_command_has_a_module() -> None:
    assert all(importlib.util.find_spec(module) for module, _ in COMMANDS.values())


def test_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plott"]) == 2
    assert "did you mean 'plot'?" in capsys.readouterr().err
