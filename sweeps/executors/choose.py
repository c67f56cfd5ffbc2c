"""The executor that `--cluster` names."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import subprocess

from simvtp.errors import ConfigError
from simvtp.runtime import heartbeat
from simvtp.training import trackers
from sweeps.executors import cluster_config
from sweeps.executors.base import Executor
from sweeps.executors.cluster_config import Cluster
from sweeps.executors.debug import Debug
from sweeps.executors.local import Local, visible_gpus
from sweeps.executors.slurm import Slurm
from sweeps.state.run_states import RunRegistry

log = logging.getLogger(__name__)

PING_SECONDS = 30.0
# Messages of SLURM's commands on a machine that has them but belongs to no cluster.
_NO_CLUSTER = ("configuration source", "process configuration file")


def detect() -> str:
    """The meaning of `--cluster auto`: "slurm" if this machine belongs to a cluster, else "local".

    It is "slurm" even if SLURM does not answer now, so that nothing is trained on a login node.
    """
    if shutil.which("sbatch") is None or shutil.which("sinfo") is None:
        return "local"
    try:
        answer = subprocess.run(
            ["sinfo", "--noheader"], capture_output=True, text=True, timeout=PING_SECONDS, check=False
        )
        code, words = answer.returncode, answer.stderr.strip()
    except subprocess.TimeoutExpired:
        code, words = 1, f"no answer to sinfo within {PING_SECONDS:.0f} s"
    if code == 0:
        return "slurm"
    last = (words.splitlines() or ["no reason given"])[-1]
    if any(text in words for text in _NO_CLUSTER):
        log.warning(f"sbatch is installed, but this machine belongs to no cluster ({last}); runs start on this machine")
        return "local"
    log.warning(f"SLURM does not answer ({last}); jobs wait for it. To train on this machine say --cluster local")
    return "slurm"


def make_executor(
    cluster: str, registry: RunRegistry, preset: str, jobs: int | None, threads: int, pack: int | None = None
) -> Executor:
    """The executor of a command.

    cluster: auto, local, debug, slurm, a name in clusters/, or the path of a .toml file. registry: of the results
    folder. preset: name of the preset, noted in results. jobs: runs at the same time; None: as many as fit. threads:
    CPU threads of a run (machine.threads). pack: runs in one SLURM job, None: as the cluster's file says; on this
    machine runs at the same time on each GPU, or in all where there is none, and `jobs` is then the most in all.
    Raises ConfigError for a cluster that is unknown or not usable on this machine.
    """
    if cluster == "auto":
        cluster = detect()
    if cluster == "debug":
        if pack is not None:
            raise ConfigError(f"--pack {pack}: --cluster debug does one run after the other; take --cluster local")
        return Debug(registry, preset)
    if cluster != "local":
        resources = Cluster() if cluster == "slurm" else cluster_config.read(cluster)
        # Exported also where a cluster passes nothing of this environment on to jobs.
        setup = (*resources.setup, trackers.export(), heartbeat.export())
        return Slurm(registry, preset, dataclasses.replace(resources, setup=setup, pack=pack or resources.pack), jobs)
    cores, gpus = len(os.sched_getaffinity(0)), max(1, len(visible_gpus()))
    if pack is not None:
        return Local(registry, preset, min(pack * gpus, jobs or pack * gpus))
    return Local(registry, preset, jobs or (max(1, cores // threads) if threads else gpus))
