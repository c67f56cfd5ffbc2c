"""Tasks of a sweep on SLURM, as the faults hit them."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from sweeps.state.submissions import PREFIX, Submissions
from tests.cluster.scene import Scene


def shell(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def tasks_of(scene: Scene, *states: str) -> list[str]:
    """Array tasks of the sweep that SLURM has, in one of these states where some are named."""
    names = ",".join(PREFIX + token for token in Submissions(scene.results).open_tokens())
    if not names:
        return []
    only = ["-t", ",".join(states)] if states else []
    return shell("squeue", "-h", "-r", f"--name={names}", *only, "-o", "%i").split()


def any_of(tasks: list[str]) -> str | None:
    return random.choice(tasks) if tasks else None


def cancel(scene: Scene) -> bool:
    task = any_of(tasks_of(scene))
    if task is None:
        return False
    shell("scancel", task)
    return True


def pending(pid: int) -> int | None:
    """Signals that wait for a process, as bits; None if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    states = dict(line.split(":", 1) for line in lines)
    if states["State"].strip()[0] in "ZX":
        return None
    return int(states["SigPnd"], 16) | int(states["ShdPnd"], 16)
