"""Packages for a machine that has torch and no network: wheels collected here, unpacked there.

The list is what `simvtp` and `sweeps` import of the project's dependencies, with all that these need, in the versions
installed here; torch and torchvision are left out, since they must fit the machine's driver.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.report import ROOT

PYTHON = "3.12"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_24_x86_64", "manylinux_2_17_x86_64",
             "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64")  # fmt: skip
ON_THE_MACHINE = ("torch", "torchvision")


def normal(name: str) -> str:
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(folders: Iterable[Path]) -> set[str]:
    """Top-level names of all modules that the Python files below these folders import."""
    packages = set()
    for file in (file for folder in folders for file in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                packages |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                packages.add(node.module.partition(".")[0])
    return packages


def roots() -> set[str]:
    """The project's dependencies that training and sweeps import."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    declared = {normal(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in listed}  # type: ignore[index]
    by_module = importlib.metadata.packages_distributions()
    used = {
        normal(name) for module in imported([ROOT / "simvtp", ROOT / "sweeps"]) for name in by_module.get(module, ())
    }
    return declared & used


def needed(names: Iterable[str], without: Iterable[str]) -> dict[str, str]:
    """Name and installed version of the packages and of all that they need on the machine."""
    from packaging.requirements import Requirement

    left, versions, skipped = list(names), dict[str, str](), {normal(name) for name in without}
    while left:
        name = normal(left.pop())
        if name in versions or name in skipped:
            continue
        versions[name] = importlib.metadata.version(name)
        for text in importlib.metadata.requires(name) or ():
            requirement = Requirement(text)
            where = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0", "extra": ""}
            if requirement.marker is None or requirement.marker.evaluate(where):
                left.append(requirement.name)
    return versions


def collect(folder: Path, without: Sequence[str]) -> list[str]:
    """Download the wheels into a folder; returns the requirements, name==version."""
    packages = needed(roots(), (*ON_THE_MACHINE, *without))
    wanted = [f"{name}=={version.partition('+')[0]}" for name, version in sorted(packages.items())]
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--python-version", PYTHON,
         "--implementation", "cp", *platforms, "--dest", str(folder), *wanted],
        check=True,
    )  # fmt: skip
    return wanted


def unpack(folder: Path, site: Path) -> list[str]:
    """Unpack every wheel of a folder, so that `site` on PYTHONPATH offers them; gives the files' names."""
    wheels = sorted(folder.glob("*.whl"))
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as opened:
            opened.extractall(site)
    return [wheel.name for wheel in wheels]
