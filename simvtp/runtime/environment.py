"""What a result was computed with: packages, code, machine, job."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import torch

from simvtp.runtime.files import read_json

PACKAGES = ("torch", "torchvision", "timm", "transformers", "tokenizers", "decord", "av", "numpy", "optuna", "submitit")


def describe(device: torch.device) -> dict[str, Any]:
    """The environment of this process, as JSON."""
    gpu = None
    if device.type == "cuda":
        gpu = {"name": torch.cuda.get_device_name(device), "cuda": torch.version.cuda, "driver": _driver()}
    return {
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "system": platform.platform(),
        "host": socket.gethostname(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "code": _code(),
        "slurm": {name: value for name, value in os.environ.items() if name.startswith("SLURM_JOB")},
    }


def _driver() -> str | None:
    """Version of the NVIDIA driver; None where the kernel names none."""
    try:
        first = Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    except (OSError, IndexError):
        return None
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", first)
    return found[0] if found else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _code() -> dict[str, Any]:
    """The git commit of this package, and the diff of tracked files against it; empty outside a checkout.

    In the copy of the code that a sweep's jobs run, code.json says it, as it was when the copy was made.
    """
    root = Path(__file__).resolve().parents[2]
    if (root / "code.json").exists():
        return {"copy": root.name, **read_json(root / "code.json")}
    if not (root / ".git").exists():
        return {}
    commit = _git(root, "rev-parse", "HEAD").strip()
    return {"commit": commit, "diff": _git(root, "diff", "HEAD")}


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=30, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
