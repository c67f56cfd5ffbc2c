"""The state of every run, and the summary of a finished one, read from its folder below results/."""

from __future__ import annotations

import json
import logging
import math
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from simvtp.config.run_dirs import RUNS, STAGES, folder_of, prepare
from simvtp.errors import ConfigError
from simvtp.runtime import heartbeat
from simvtp.runtime.files import read_json, write_json
from simvtp.runtime.locks import Owner, holder
from sweeps.plan import Plan, Run, sweep_record
from sweeps.state.failures import clear_failure, progress, read_failure, write_failure
from sweeps.state.squeue import PENDING, SlurmQueue
from sweeps.state.submissions import Submissions

log = logging.getLogger(__name__)

STATES = ("done", "running", "queued", "failed", "interrupted", "waiting")

NO_LINE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Summary of one finished run.

    test, validation: text-to-video R@1 in percent. pretrain_hours: hours of one device for its pre-training, which
    other runs may share. hours: hours of one device for fine-tuning and evaluation. device: such as "cpu" or "cuda".
    """

    test: float
    validation: float
    pretrain_hours: float
    hours: float
    device: str


def summarize(result: Mapping[str, Any]) -> RunSummary:
    """The summary of a result.json; raises KeyError, TypeError or ValueError where a field is missing or wrong."""
    test, validation = (float(result["metrics"][name]["text_to_video"]["R@1"]) for name in ("test", "validation"))
    cost = result["cost"]
    return RunSummary(test, validation, *device_hours(cost), sys.intern(str(cost["device"])))


def device_hours(cost: Mapping[str, Any]) -> tuple[float, float]:
    """(pre-training, fine-tuning and evaluation) of a result's `cost`, in hours of a device."""
    devices = int(cost.get("devices", 1))
    rest = float(cost["finetune_seconds"]) + float(cost.get("evaluate_seconds", 0.0))
    return float(cost["pretrain_seconds"]) * devices / 3600, rest * devices / 3600


def score(summary: RunSummary | None) -> float | None:
    """The objective of a study: validation R@1; None if there is no summary or the value is not finite."""
    return summary.validation if summary is not None and math.isfinite(summary.validation) else None


@dataclass(frozen=True, slots=True)
class RunState:
    """The state of one run.

    name: one of STATES. summary: results of a finished run. failure: content of failure.json. owner: the process that
    works on it. line: the last line of log.jsonl, empty if there is none. reason: why SLURM keeps the job pending.
    """

    name: str
    summary: RunSummary | None = None
    failure: Mapping[str, Any] | None = None
    owner: Owner | None = None
    line: Mapping[str, Any] = field(default_factory=lambda: NO_LINE)
    reason: str = ""


class RunRegistry:
    """Reads and writes the run folders below one results folder.

    results: the results folder. submissions: records of its submissions to SLURM. queue: the last answer of squeue
    about them.

    Raises ConfigError if the results folder is a link that leads nowhere.
    """

    def __init__(self, results: Path) -> None:
        if results.is_symlink() and not results.is_dir():
            raise ConfigError(f"--results {results}: that is a link to no folder; name another")
        self.results = results
        self.submissions = Submissions(results)
        self.queue = SlurmQueue(self.submissions)

    def check_readable(self) -> None:
        """Raise ConfigError if results is there, but no folder."""
        if self.results.exists() and not self.results.is_dir():
            raise ConfigError(f"--results {self.results}: that is a file, not a folder; name another")

    def check_writable(self) -> None:
        """Raise ConfigError if results cannot be written."""
        try:
            self.results.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.results):
                pass
        except OSError as error:
            raise ConfigError(
                f"--results {self.results}: cannot be written ({error.strerror}); name another"
            ) from error

    def folder(self, run: str) -> Path:
        """Folder of a run, by its id."""
        return folder_of(self.results, RUNS, run)

    def stage_folder(self, stage: str) -> Path:
        """Folder of a pre-training stage, by its id."""
        return folder_of(self.results, STAGES, stage)

    def result(self, run: str) -> Mapping[str, Any] | None:
        """result.json of a run; None if there is none. A damaged one is logged and moved aside."""
        path = self.folder(run) / "result.json"
        try:
            result: dict[str, Any] = read_json(path)
            if result["version"] != 1 or result["run"] != run:
                raise ValueError(f"{path} is not the result of run {run}")
            summarize(result)
        except FileNotFoundError:
            return None
        except ValueError as error:
            self._set_aside(path, str(error))
            return None
        except (KeyError, TypeError) as error:
            self._set_aside(path, f"{path} lacks what a result has ({error})")
            return None
        return result

    def _set_aside(self, path: Path, why: str) -> None:
        aside = path.with_suffix(".json.damaged")
        try:
            path.replace(aside)
        except OSError as error:
            log.warning(f"{why}; it could not be moved aside ({error.strerror})")
        else:
            log.warning(f"{why}; it is now {aside.name}, and the run is evaluated again")

    def state(self, run: Run) -> RunState:
        """The state of a run by its folder, its locks and the last answer of squeue."""
        result = self.result(run.id)
        if result is not None:
            return RunState("done", summary=summarize(result))
        folders = [self.folder(run.id)]
        if run.stage is not None:
            folders.append(self.stage_folder(run.stage))
        line = next(filter(None, (progress(folder / "log.jsonl") for folder in folders)), NO_LINE)
        owners = [holder(folder / "lock") for folder in folders]
        claim = self.submissions.claim("run", run.id)
        queued = self.queue.last.state(claim.token, claim.task) if claim is not None else None
        pending = queued is not None and queued[0] in PENDING
        for owner in owners[: 1 if pending else 2]:  # a pending job does not work on its stage
            if owner is not None:
                return RunState("running", owner=owner, line=line, reason=self._silence(run))
        failure = read_failure(self.folder(run.id) / "failure.json")
        if failure is not None:
            return RunState("failed", failure=failure, line=line)
        if queued is not None:
            return RunState("queued" if pending else "running", line=line, reason=queued[1])
        started = any((folder / "log.jsonl").exists() for folder in folders)
        return RunState("interrupted" if started else "waiting", line=line)

    def states(self, plan: Plan) -> dict[str, RunState]:
        """State of every run of a plan, by run id."""
        return {run.id: self.state(run) for run in plan.runs.values()}

    def last_beat(self, run: Run) -> float:
        """Time of the last heartbeat of the run, or of its pre-training while that is unfinished; 0: none yet."""
        folders = [self.folder(run.id)]
        if run.stage is not None and not self.is_pretrained(run.stage):
            folders.append(self.stage_folder(run.stage))
        times = [0.0]
        for path in (folder / name for folder in folders for name in (heartbeat.FILE, "log.jsonl")):
            try:
                times.append(path.stat().st_mtime)
            except FileNotFoundError:
                continue
        return max(times)

    def _silence(self, run: Run) -> str:
        """A remark on a running run whose last step is long ago; empty otherwise."""
        limit, silent = heartbeat.limit_seconds(), time.time() - self.last_beat(run)
        return f"no step for {silent / 60:.0f} min" if limit and max(60.0, limit / 2) < silent < 1e8 else ""

    def is_pretrained(self, stage: str) -> bool:
        """Whether a pre-training is done: its weights and their record are there."""
        folder = self.stage_folder(stage)
        return (folder / "weights.safetensors").exists() and (folder / "stage.json").exists()

    def fail_with_stage(self, run: Run) -> bool:
        """Whether the run's pre-training failed; if so, the run is marked failed by the same failure, once."""
        if run.stage is None or self.is_pretrained(run.stage):
            return False
        failure = read_failure(self.stage_folder(run.stage) / "failure.json")
        if failure is None:
            return False
        if not (self.folder(run.id) / "failure.json").exists():
            own = {**failure, "run": run.id, "pretrain": run.stage}
            own["error"] = f"pre-training {run.stage}: {failure['error']}"
            write_failure(self.folder(run.id), own)
        return True

    def retry(self, run: Run) -> None:
        """Reset a failed run and its pre-training, so that they are tried again; the number of attempts is kept."""
        clear_failure(self.folder(run.id))
        if run.stage is not None:
            clear_failure(self.stage_folder(run.stage))

    def prepare(self, runs: Iterable[Run]) -> None:
        """Make nested folders if there are very many runs: see simvtp/config/run_dirs.py."""
        stages = {run.id: run.stage for run in runs}
        prepare(self.results, RUNS, stages)
        prepare(self.results, STAGES, {stage for stage in stages.values() if stage is not None})

    def write_sweeps(self, plan: Plan, command: str) -> None:
        """sweep.json of every table of the plan, and of the plan where it has parts."""
        for table in plan.tables:
            path = self.results / "sweeps" / table.folder / "sweep.json"
            write_json(path, sweep_record(plan, table, command, read_sweep(path, plan)))
        if len(plan.tables) > 1:
            parts = [table.folder for table in plan.tables]
            record = {"version": 1, "name": plan.name, "preset": plan.preset, "command": command, "parts": parts}
            write_json(self.results / "sweeps" / plan.folder / "sweep.json", record)

    def earlier(self, plan: Plan) -> dict[str, str]:
        """Runs of earlier commands, with other seeds, that the plan's sweep.json files name -> their labels."""
        labels: dict[str, str] = {}
        for table in plan.tables:
            record = read_sweep(self.results / "sweeps" / table.folder / "sweep.json", plan) or {"runs": []}
            labels |= {entry["run"]: record["points"][entry["point"]]["label"] for entry in record["runs"]}
        return labels


def is_retried(state: RunState, which: str | None) -> bool:
    """Whether --retry covers a run in this state. which: failed, or lost: its jobs ended without an error."""
    if state.name != "failed" or which is None:
        return False
    return which == "failed" or str((state.failure or {}).get("error")).startswith("Vanished")


def read_sweep(path: Path, plan: Plan) -> dict[str, Any] | None:
    """Content of a sweep.json, but for the runs of the plan itself, which may be ten thousand.

    None if there is none, or a damaged one: it is derived, and written anew.
    """

    def unless_known(entry: dict[str, Any]) -> dict[str, Any] | None:
        return None if entry.keys() == {"point", "seed", "run"} and entry["run"] in plan.runs else entry

    try:
        record = json.loads(path.read_bytes(), object_hook=unless_known)
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not {"points", "base", "runs"} <= record.keys():
        return None
    return {**record, "runs": [entry for entry in record["runs"] if entry is not None]}
