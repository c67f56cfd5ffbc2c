"""The interface of executors, which run jobs: on SLURM, on this machine, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from simvtp.errors import ConfigError
from sweeps.plan import Run


class JobEnd(Enum):
    """How a job that is over ended.

    OWN: by itself. EXTERNAL: cancelled, preempted, or lost with its node. UNKNOWN: the accounting does not answer now.
    """

    OWN = "own"
    EXTERNAL = "external"
    UNKNOWN = "unknown"


class Refused(ConfigError):
    """A job was not taken. transient: whether the same job may be taken later."""

    def __init__(self, text: str, *, transient: bool) -> None:
        super().__init__(text)
        self.transient = transient


class Executor(Protocol):
    """Runs jobs. A job is an opaque handle returned by `submit` or `attach`.

    capacity: most runs at the same time.
    poll_seconds: time between two polls of the jobs.
    stops_with_controller: whether Ctrl-C in the controller ends the jobs too.
    has_queue: whether runs may be submitted before their pre-training is done, to wait for it there.
    """

    capacity: int
    poll_seconds: float
    stops_with_controller: bool
    has_queue: bool

    def attach(self, runs: Sequence[Run]) -> dict[str, Any]:
        """Jobs that earlier controllers submitted and in which some of the runs still are, by run id."""

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        """Start the runs that no other controller has submitted; returns the job of each started run, by run id.

        Raises Refused if the jobs were not accepted.
        """

    def describe_plan(self, runs: Sequence[Run]) -> list[str]:
        """What `submit` would do with the runs, as lines of text."""

    def check(self) -> None:
        """Raise Refused if this executor can accept no job at all; called before anything is started."""

    def is_pending(self, job: Any) -> bool:
        """Whether the job has not begun."""

    def is_over(self, job: Any) -> bool:
        """Whether the job's process is gone for good."""

    def end_of(self, job: Any) -> JobEnd:
        """How a job that is over ended."""

    def stage_job(self, run: Run, job: Any) -> Any:
        """The job that makes the pre-training of a run whose own job is `job`; often the same one."""

    def describe(self, job: Any) -> str:
        """A name of the job for messages and records, the same in every process."""

    def log_path(self, job: Any) -> Path | None:
        """The file that the job's output goes to."""

    def stop(self, jobs: Sequence[Any]) -> None:
        """Ask jobs to write a checkpoint and end."""

    def kill(self, job: Any) -> None:
        """End a job that hangs; no checkpoint is written."""
