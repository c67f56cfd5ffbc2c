"""Batch scripts of job arrays, and the one call of sbatch that submits them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from simvtp.errors import ConfigError
from sweeps.executors.base import Refused

SBATCH_SECONDS = 120.0

# Messages of sbatch for temporary refusals: a daemon is down, a partition is drained, a quota of jobs is reached.
# Everything else is an error in the request, which is raised at once.
_TRANSIENT = (
    "unable to contact", "timed out", "temporarily", "not responding", "connection refused", "connection reset",
    "connect failure", "zero bytes", "munge", "authentication", "credential", "inactive or drain", "maxsubmit",
    "submitlimit", "job submit limit", "violates", "no space left", "slurmdbd", "database", "communication",
)  # fmt: skip


def is_transient(words: str) -> bool:
    """Whether sbatch may accept the same job later, by its message."""
    return any(text in words.lower() for text in _TRANSIENT)


def check_path(folder: Path) -> None:
    """Raise ConfigError for a folder that SLURM cannot write a job's output below.

    SLURM replaces % and \\ in the name of an output file.
    """
    bad = sorted({character for character in str(folder) if character in "%\\\n"})
    if bad:
        raise ConfigError(
            f"--results {str(folder)!r}: SLURM cannot write the output of jobs below a path with "
            f"{' or '.join(map(repr, bad))} in it; name another folder, or use --cluster local"
        )


def batch_script(
    folder: Path, options: Mapping[str, str | int | bool | None], setup: Sequence[str], tasks: int, parallel: int
) -> str:
    """The script of an array whose tasks run `sweeps.executors.job`.

    folder: of the submission; output goes there, as <array>_<task>_<process>_log.out. options: of sbatch, by their
    long names; True: without a value; None: left out. setup: shell lines before Python starts. tasks: in the array.
    parallel: tasks running at the same time, at most.
    """
    wanted = {
        "array": f"0-{tasks - 1}%{min(tasks, parallel)}", "output": f"{folder}/%A_%a_0_log.out", "open-mode": "append",
        "requeue": True, "kill-on-invalid-dep": "yes", **options,
    }  # fmt: skip
    lines = ["#!/bin/bash"]
    for key, value in wanted.items():
        if value is not None and value is not False:
            lines.append(f"#SBATCH --{key}" + ("" if value is True else f"={shlex.quote(str(value))}"))
    job = [sys.executable, "-u", "-m", "sweeps.executors.job", str(folder)]
    srun = ["srun", "--unbuffered", f"--output={folder}/%A_%a_%t_log.out", "--kill-on-bad-exit=1"]
    return "\n".join([*lines, *setup, "export SUBMITIT_EXECUTOR=slurm", shlex.join([*srun, *job]), ""])


def submit(script: Path, cluster: str) -> str:
    """Submit a script; returns the number of the job. Raises Refused, naming the cluster."""
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", str(script)], capture_output=True, text=True, timeout=SBATCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"cluster {cluster}: sbatch timed out after {SBATCH_SECONDS:.0f} s", transient=True) from None
    if done.returncode:
        raise Refused(f"cluster {cluster}: sbatch refused the job: {_reason(done.stderr)}",
                      transient=is_transient(done.stderr))  # fmt: skip
    return done.stdout.strip().partition(";")[0]


def try_out(script: str, cluster: str) -> None:
    """Ask SLURM whether it would accept a script, without submitting it. Raises Refused, naming the cluster."""
    try:
        done = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True,
                              timeout=SBATCH_SECONDS, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Refused(f"cluster {cluster}: sbatch timed out after {SBATCH_SECONDS:.0f} s", transient=True) from None
    if done.returncode:
        raise Refused(f"cluster {cluster}: sbatch would refuse the jobs: {_reason(done.stderr)}",
                      transient=is_transient(done.stderr))  # fmt: skip


def _reason(words: str) -> str:
    lines = [line for line in words.splitlines() if line.strip() and not line.startswith("Try ")] or ["no reason given"]
    return " ".join(line.replace("sbatch: error: ", "").replace("sbatch: ", "") for line in lines)
