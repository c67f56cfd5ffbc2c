"""results/ as the truth: what became of every run, read from its folder alone."""

from __future__ import annotations

import json
import math
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from simvtp.config.run_dirs import RUNS, STAGES, home, prepare
from simvtp.errors import ConfigError
from simvtp.runtime.files import read_json, write_json
from simvtp.runtime.locks import Owner, holder
from sweeps.plan import Plan, Run, sweep_record
from sweeps.state.failures import fail, forget, progress, read_failure
from sweeps.state.squeue import WAITING, Queue
from sweeps.state.submissions import Submissions

STATES = ("done", "running", "queued", "failed", "interrupted", "waiting")


NO_LINE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class State:
    """name: one of STATES; line: the last line of the log, or nothing; reason: why SLURM lets it wait."""

    name: str
    outcome: Outcome | None = None
    failure: Mapping[str, Any] | None = None
    owner: Owner | None = None
    line: Mapping[str, Any] = field(default_factory=lambda: NO_LINE)
    reason: str = ""


class States(MutableMapping[str, State]):
    """The last state of each run. There may be ten thousand: of a finished one only its figures are kept, as bytes,
    and those of whom there is nothing to say but their name share one state."""

    _figures = struct.Struct("4dI")

    def __init__(self) -> None:
        self._of: dict[str, State | bytes] = {}
        self._devices: list[str] = []

    def __setitem__(self, run: str, state: State) -> None:
        found = state.outcome
        if found is None:
            plain = state.line is NO_LINE and state.owner is None and state.failure is None
            self._of[run] = _plain(state.name, state.reason) if plain else state
            return
        if found.device not in self._devices:
            self._devices.append(found.device)
        figures = (found.test, found.validation, found.pretrain_hours, found.hours)
        self._of[run] = self._figures.pack(*figures, self._devices.index(found.device))

    def __getitem__(self, run: str) -> State:
        found = self._of[run]
        if isinstance(found, State):
            return found
        test, validation, pretrain_hours, hours, device = self._figures.unpack(found)
        return State("done", outcome=Outcome(test, validation, pretrain_hours, hours, self._devices[device]))

    def __delitem__(self, run: str) -> None:
        del self._of[run]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)


@cache
def _plain(name: str, reason: str) -> State:
    return State(name, reason=reason)


class Ledger:
    """Reads and writes the run folders below one results folder."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.submissions = Submissions(results)
        self.queue = Queue(self.submissions)

    def check_readable(self) -> None:
        """Raise ConfigError where results is there, but no folder."""
        if self.results.exists() and not self.results.is_dir():
            raise ConfigError(f"--results {self.results}: that is a file, not a folder; name another")

    def check_writable(self) -> None:
        """Raise ConfigError where results cannot be written."""
        try:
            self.results.mkdir(parents=True, exist_ok=True)
            probe = self.results / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ConfigError(
                f"--results {self.results}: cannot be written ({error.strerror}); name another"
            ) from error

    def folder(self, run: str) -> Path:
        return home(self.results, RUNS, run)

    def stage_folder(self, stage: str) -> Path:
        return home(self.results, STAGES, stage)

    def result(self, run: str) -> Mapping[str, Any] | None:
        """result.json of a run; None where there is none. A damaged one is said, and moved aside."""
        path = self.folder(run) / "result.json"
        try:
            found: dict[str, Any] = read_json(path)
            if found["version"] != 1 or found["run"] != run:
                raise ValueError(f"{path} is not the result of run {run}")
            outcome(found)
        except FileNotFoundError:
            return None
        except ValueError as error:
            self._set_aside(path, str(error))
            return None
        except (KeyError, TypeError) as error:
            self._set_aside(path, f"{path} lacks what a result has ({error})")
            return None
        return found

    def _set_aside(self, path: Path, why: str) -> None:
        aside = path.with_suffix(".json.damaged")
        try:
            path.replace(aside)
        except OSError as error:
            print(f"{why}; it could not be moved aside ({error.strerror})", file=sys.stderr)
        else:
            print(f"{why}; it is now {aside.name}, and the run is evaluated again", file=sys.stderr)

    def state(self, run: Run) -> State:
        result = self.result(run.id)
        if result is not None:
            return State("done", outcome=outcome(result))
        folders = [self.folder(run.id)]
        if run.stage is not None:
            folders.append(self.stage_folder(run.stage))
        line = next(filter(None, (progress(folder / "log.jsonl") for folder in folders)), NO_LINE)
        owners = [holder(folder / "lock") for folder in folders]
        claim = self.submissions.claim("run", run.id)
        place = self.queue.last.state(claim.token, claim.task) if claim is not None else None
        waits = place is not None and place[0] in WAITING
        for owner in owners[: 1 if waits else 2]:  # one whose job waits for its stage is not at work on that
            if owner is not None:
                return State("running", owner=owner, line=line)
        failure = read_failure(self.folder(run.id) / "failure.json")
        if failure is not None:
            return State("failed", failure=failure, line=line)
        if place is not None:
            return State("queued" if place[0] in WAITING else "running", line=line, reason=place[1])
        started = any((folder / "log.jsonl").exists() for folder in folders)
        return State("interrupted" if started else "waiting", line=line)

    def states(self, plan: Plan) -> States:
        """Of every run of a plan."""
        found = States()
        for run in plan.runs.values():
            found[run.id] = self.state(run)
        return found

    def made(self, stage: str) -> bool:
        """Whether the weights of a pre-training stage are there."""
        return (self.stage_folder(stage) / "weights.safetensors").exists()

    def fail_with_stage(self, run: Run) -> bool:
        """Where the run's stage failed, the run has, once, by the same failure; whether that is so."""
        if run.stage is None or self.made(run.stage):
            return False
        failure = read_failure(self.stage_folder(run.stage) / "failure.json")
        if failure is None:
            return False
        if not (self.folder(run.id) / "failure.json").exists():
            told = {**failure, "run": run.id, "pretrain": run.stage}
            told["error"] = f"pre-training {run.stage}: {failure['error']}"
            fail(self.folder(run.id), told)
        return True

    def retry(self, run: Run) -> None:
        """Let a failed run be tried again, and its stage where that failed; how often it was tried is kept."""
        forget(self.folder(run.id))
        if run.stage is not None:
            forget(self.stage_folder(run.stage))

    def prepare(self, runs: Iterable[Run]) -> None:
        """Make room for very many runs, before any of their work begins: see simvtp/config/run_dirs.py."""
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
        """Runs of earlier calls, with other seeds, that the plan's sweep.json files still name -> their labels."""
        found: dict[str, str] = {}
        for table in plan.tables:
            record = read_sweep(self.results / "sweeps" / table.folder / "sweep.json", plan) or {"runs": []}
            found |= {entry["run"]: record["points"][entry["point"]]["label"] for entry in record["runs"]}
        return found


def is_retried(state: State, which: str | None) -> bool:
    """Whether --retry means a run in this state. lost: those whose jobs vanished three times without a word."""
    if state.name != "failed" or which is None:
        return False
    return which == "failed" or str((state.failure or {}).get("error")).startswith("Vanished")


def read_sweep(path: Path, plan: Plan) -> dict[str, Any] | None:
    """Content of a sweep.json, but for the runs of the plan itself, which may be ten thousand.

    None where there is none, or a damaged one: it is derived, and written anew.
    """

    def unless_known(entry: dict[str, Any]) -> dict[str, Any] | None:
        return None if entry.keys() == {"point", "seed", "run"} and entry["run"] in plan.runs else entry

    try:
        found = json.loads(path.read_bytes(), object_hook=unless_known)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(found, dict) or not {"points", "base", "runs"} <= found.keys():
        return None
    return {**found, "runs": [entry for entry in found["runs"] if entry is not None]}


@dataclass(frozen=True, slots=True)
class Outcome:
    """test, validation: text-to-video R@1, percent, whatever was measured. pretrain_hours: of its pre-training, which
    other runs may share; hours: of fine-tuning and evaluation; both of one device."""

    test: float
    validation: float
    pretrain_hours: float
    hours: float
    device: str


def outcome(result: Mapping[str, Any]) -> Outcome:
    """What a result.json tells; raises KeyError, TypeError or ValueError where it lacks what a result has."""
    test, validation = (float(result["metrics"][name]["text_to_video"]["R@1"]) for name in ("test", "validation"))
    cost = result["cost"]
    return Outcome(test, validation, *hours_of(cost), sys.intern(str(cost["device"])))


def hours_of(cost: Mapping[str, Any]) -> tuple[float, float]:
    """(pre-training, fine-tuning and evaluation) of a result's `cost`, in hours of a device."""
    devices = int(cost.get("devices", 1))
    rest = float(cost["finetune_seconds"]) + float(cost.get("evaluate_seconds", 0.0))
    return float(cost["pretrain_seconds"]) * devices / 3600, rest * devices / 3600


def score(found: Outcome | None) -> float | None:
    """What a study maximises: validation R@1; None where there is no outcome or it is no number."""
    return found.validation if found is not None and math.isfinite(found.validation) else None
