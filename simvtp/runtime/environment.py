"""The environment of a result: packages, code, machine, job; without anything that looks like a secret."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import socket
from pathlib import Path
from typing import Any

import torch

from simvtp.runtime.git_state import git_state, redacted

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "torchvision", "timm", "transformers", "tokenizers", "decord", "av", "numpy", "optuna", "submitit")


def describe(device: torch.device) -> dict[str, Any]:
    """The environment of this process, as JSON. device: where the model is; a GPU is named with its driver."""
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
        "code": git_state(ROOT),
        "slurm": {name: redacted(value) for name, value in os.environ.items() if name.startswith("SLURM_JOB")},
    }


def _driver() -> str | None:
    """Version of the NVIDIA driver; None if the kernel names none."""
    try:
        first = Path("/proc/driver/nvidia/version").read_text().splitlines()[0]
    except (OSError, IndexError):
        return None
    version = re.search(r"\b\d+\.\d+(\.\d+)?\b", first)
    return version[0] if version else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
