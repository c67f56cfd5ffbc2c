"""Daemons and partitions of SLURM that are away for some seconds. Each fault gives False if nothing was hit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from tests.cluster.scene import Scene
from tests.cluster.slurm_tasks import cancel, pending, shell


def _lab() -> Path:
    """The folder of the SLURM that tests/cluster/up.sh started."""
    return Path(os.environ["SLURM_CONF"]).parent


def _restart(name: str, start: list[str], scene: Scene) -> bool:
    """A daemon is away for some seconds, while a task is cancelled; as after an update, or a crash."""
    lab = _lab()
    pid_file = lab / "run" / f"{name}.pid"
    pid = int(pid_file.read_text())
    if name == "slurmdbd":
        cancel(scene)  # slurmctld has the end; the accounting hears of it later
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and pending(pid) is not None and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(random.uniform(3, 15))
    environment = {**os.environ, "MYSQL_UNIX_PORT": str(lab / "run" / "mysql.sock")}
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(start, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere,
                               start_new_session=True)  # fmt: skip
    time.sleep(2)
    with (lab / "pids").open("a") as pids:
        pids.write(f"{pid_file.read_text().strip() if name == 'munged' else process.pid}\n")
    return True


def restart_slurmctld(scene: Scene) -> bool:
    return _restart("slurmctld", ["slurmctld", "-D"], scene)


def restart_accounting(scene: Scene) -> bool:
    return _restart("slurmdbd", ["slurmdbd", "-D"], scene)


def restart_munge(scene: Scene) -> bool:
    lab = _lab()
    return _restart("munged", [
        "munged", "--force", f"--key-file={lab}/munge.key", f"--socket={lab}/run/munge.sock",
        f"--pid-file={lab}/run/munged.pid", f"--log-file={lab}/log/munged.log", f"--seed-file={lab}/munge.seed",
    ], scene)  # fmt: skip


def drain_partition(scene: Scene) -> bool:
    """The partition takes no jobs for some seconds, and a task that has to be submitted again is refused."""
    shell("scontrol", "update", "PartitionName=low", "State=DRAIN")
    cancel(scene)
    time.sleep(random.uniform(5, 20))
    shell("scontrol", "update", "PartitionName=low", "State=UP")
    return True
