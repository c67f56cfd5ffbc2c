"""Runs in the controller's own process, one after the other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweeps.executors.base import JobEnd
from sweeps.plan import Run
from sweeps.state.run_states import RunRegistry

log = logging.getLogger(__name__)


class Debug:
    """This process; the traceback of a run that fails is logged and recorded.

    registry: of the results folder. preset: name of the preset, noted in results.
    """

    capacity = 1
    poll_seconds = 0.5
    stops_with_controller = True
    has_queue = False

    def __init__(self, registry: RunRegistry, preset: str) -> None:
        self.registry, self.preset = registry, preset

    def attach(self, runs: Sequence[Run]) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def describe_plan(self, runs: Sequence[Run]) -> list[str]:
        return [f"would do {len(runs)} runs in this process, one after the other"] if runs else []

    def check(self) -> None:
        """Nothing can be missing."""

    def submit(self, runs: Sequence[Run]) -> dict[str, Any]:
        from simvtp.runtime.locks import Busy
        from simvtp.runtime.signals import Interrupted
        from sweeps.executors.task import Task  # loads Submitit: not for --dry-run

        for run in runs:
            try:
                Task.of(run, self.registry.results, self.preset)()
            except Interrupted:
                raise KeyboardInterrupt from None
            except Busy as error:
                log.info(f"run {run.id}: {error}; waiting")
            except Exception as error:  # noqa: BLE001  (recorded in the run's folder; the other runs go on)
                log.error(f"run {run.id}: {type(error).__name__}: {error}")
        return {run.id: run.id for run in runs}

    def is_pending(self, job: Any) -> bool:  # noqa: ARG002
        return False

    def is_over(self, job: Any) -> bool:  # noqa: ARG002
        return True

    def end_of(self, job: Any) -> JobEnd:  # noqa: ARG002
        return JobEnd.OWN

    def stage_job(self, run: Run, job: Any) -> Any:  # noqa: ARG002
        return job

    def describe(self, job: Any) -> str:  # noqa: ARG002
        return "this process"

    def log_path(self, job: Any) -> Path | None:  # noqa: ARG002
        return None

    def stop(self, jobs: Sequence[Any]) -> None:
        """Nothing runs beside this process."""

    def kill(self, job: Any) -> None:
        """Nothing runs beside this process."""
