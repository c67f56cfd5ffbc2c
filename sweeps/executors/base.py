"""Where runs are carried out: the place that `--cluster` names."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from simvtp.errors import ConfigError
from simvtp.runtime import tracker_names as trackers
from sweeps.executors import cluster_config
from sweeps.executors.cluster_config import Cluster
from sweeps.executors.local import Debug, Local, visible_gpus
from sweeps.executors.slurm import Slurm
from sweeps.plan import Run
from sweeps.state.run_states import Ledger


class Place(Protocol):
    """Somewhere to run jobs.

    capacity: runs at once; poll_seconds: from one look at the jobs to the next; stop_with_controller: whether Ctrl-C
    ends the jobs too; queues: whether runs whose stage is still to be made may be submitted, to wait for it there.
    """

    capacity: int
    poll_seconds: float
    stop_with_controller: bool
    queues: bool

    def attach(self, runs: Sequence[Run]) -> dict[str, Any]:
        """Jobs that earlier controllers left, in which some of the runs still are."""

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        """Start the runs, but what is under way already elsewhere; gives a job for each run id that is under way."""

    def intended(self, runs: Sequence[Run]) -> list[str]:
        """What `submit` would do with the runs, in words."""

    def waits(self, job: Any) -> bool:
        """Whether the job has not begun, so that there is nothing to look at in its folder."""

    def over(self, job: Any) -> bool:
        """Whether the job's process is gone for good."""

    def outside(self, job: Any) -> bool:
        """Whether a job that is over was ended from outside: cancelled, preempted, or lost with its node."""

    def described(self, job: Any) -> str:
        """The job in words, for messages."""

    def output(self, job: Any) -> Path | None:
        """The file that the job's output goes to."""

    def stop(self, jobs: Sequence[Any]) -> None:
        """Ask jobs to write a checkpoint and end."""


def has_slurm() -> bool:
    """Whether this machine can submit to a SLURM that answers."""
    if shutil.which("sbatch") is None:
        return False
    return subprocess.run(["sinfo", "--noheader"], capture_output=True, check=False).returncode == 0


def place(cluster: str, ledger: Ledger, preset: str, jobs: int | None, threads: int, pack: int | None = None) -> Place:
    """The place of --cluster; raises ConfigError for one that is unknown or absent."""
    if cluster == "auto":
        cluster = "slurm" if has_slurm() else "local"
    if cluster in ("local", "debug") and pack is not None:
        raise ConfigError(f"--pack {pack}: it is for jobs of SLURM; on this machine say --jobs {pack}")
    if cluster == "debug":
        return Debug(ledger, preset)
    if cluster != "local":
        found = Cluster() if cluster == "slurm" else cluster_config.read(cluster)
        # Also where a cluster lets nothing of this environment through to the jobs.
        found = dataclasses.replace(found, setup=(*found.setup, trackers.export()), pack=pack or found.pack)
        return Slurm(ledger, preset, found, jobs)
    cores = len(os.sched_getaffinity(0))
    at_once = max(1, cores // threads) if threads else max(1, len(visible_gpus()))
    return Local(ledger, preset, jobs or at_once)
