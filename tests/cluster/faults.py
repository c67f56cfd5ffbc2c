"""What goes wrong on clusters, done on purpose. Each fault gives False where there was nothing to hit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster.scene import Scene

Fault = Callable[[Scene], bool]


def shell(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def running() -> list[str]:
    """Array tasks at work."""
    return shell("squeue", "-h", "-r", "-t", "R", "-o", "%i").split()


def _one(tasks: list[str]) -> str | None:
    return random.choice(tasks) if tasks else None


def requeue(scene: Scene) -> bool:  # noqa: ARG001
    task = _one(running())
    if task is None:
        return False
    shell("scontrol", "requeue", task)
    return True


def requeue_in_a_checkpoint(scene: Scene) -> bool:
    """At the moment a checkpoint's temporary file is there, or after two seconds without one."""
    until = time.monotonic() + 2
    while time.monotonic() < until and not list(scene.results.glob("*/*/checkpoints/.step-*")):
        time.sleep(0.002)
    return requeue(scene)


def cancel(scene: Scene) -> bool:  # noqa: ARG001
    task = _one(shell("squeue", "-h", "-r", "-o", "%i").split())
    if task is None:
        return False
    shell("scancel", task)
    return True


def timeout(scene: Scene) -> bool:  # noqa: ARG001
    """The limit is suddenly one minute: SLURM sends SIGUSR2, and ends the job then."""
    task = _one(running())
    if task is None:
        return False
    shell("scontrol", "update", f"JobId={task}", "TimeLimit=1")
    return True


def preempt(scene: Scene) -> bool:  # noqa: ARG001
    """A job of a better partition takes every core for some seconds."""
    if not running():
        return False
    nodes = shell("sinfo", "-h", "-p", "main", "-o", "%D").strip()
    shell("sbatch", "-p", "main", "-N", nodes, "--exclusive", "-o", "/dev/null", "--wrap", "sleep 3")
    return True


def node_down(scene: Scene) -> bool:  # noqa: ARG001
    node = _one(shell("squeue", "-h", "-t", "R", "-o", "%N").split())
    if node is None:
        return False
    shell("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=campaign")
    time.sleep(2)
    shell("scontrol", "update", f"NodeName={node}", "State=RESUME")
    return True


def kill_controller(scene: Scene) -> bool:
    return scene.signal_controller(signal.SIGKILL)


def log_out(scene: Scene) -> bool:
    return scene.signal_controller(signal.SIGHUP)


def second_controller(scene: Scene) -> bool:
    """Two at once, then the first is killed: the second takes over."""
    first = scene.controller
    if first is None or first.poll() is not None:
        return False
    scene.start()
    time.sleep(random.uniform(0, 5))
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    return True


def cut_journal(scene: Scene) -> bool:
    """The controller is killed, and half of the journal is gone."""
    if not kill_controller(scene):
        return False
    for path in scene.results.glob("sweeps/*/study.journal"):
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
    return True


def full_disk(scene: Scene) -> bool:
    """No byte is left for some seconds."""
    filler = scene.results / ".filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)) == 1 << 16:
                pass
    except OSError:
        pass  # full at last
    time.sleep(random.uniform(1, 6))
    filler.unlink(missing_ok=True)
    return True


def _jobs(scene: Scene) -> list[int]:
    """Processes that carry out runs of this results folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(scene.results) in words and ("sweeps.job" in words or "submitit.core._submit" in words):
            found.append(int(path.parent.name))
    return found


def _hit(scene: Scene, number: int) -> int | None:
    jobs = _jobs(scene)
    if not jobs:
        return None
    victim = random.choice(jobs)
    try:
        os.kill(victim, number)
    except ProcessLookupError:
        return None
    return victim


def kill_job(scene: Scene) -> bool:
    return _hit(scene, signal.SIGKILL) is not None


def terminate_job(scene: Scene) -> bool:
    return _hit(scene, signal.SIGTERM) is not None


def stall(scene: Scene) -> bool:
    """A job stands still for some seconds, as on a network disk that does not answer."""
    victim = _hit(scene, signal.SIGSTOP)
    if victim is None:
        return False
    time.sleep(random.uniform(1, 6))
    try:
        os.kill(victim, signal.SIGCONT)
    except ProcessLookupError:
        return False
    return True


BOTH: tuple[Fault, ...] = (
    kill_controller, log_out, second_controller, cut_journal, full_disk, kill_job, terminate_job, stall,
)  # fmt: skip
ON_SLURM: tuple[Fault, ...] = (
    requeue, requeue_in_a_checkpoint, cancel, timeout, preempt, node_down, *BOTH,
)  # fmt: skip
