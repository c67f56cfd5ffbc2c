"""results/ as the truth: what became of every run, read from its folder alone."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simvtp.files import read_json, write_json
from simvtp.locks import Owner, holder
from simvtp.validation import ConfigError
from sweeps.plan import Plan, Run, sweep_record

STATES = ("done", "running", "failed", "interrupted", "waiting")


@dataclass(frozen=True)
class State:
    """name: one of STATES; line: the last line of the log, or nothing."""

    name: str
    result: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None
    owner: Owner | None = None
    line: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """Reads and writes the run folders below one results folder."""

    def __init__(self, results: Path) -> None:
        self.results = results

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
        return self.results / "runs" / run

    def result(self, run: str) -> Mapping[str, Any] | None:
        """result.json of a run; None where there is none. A damaged one is said, and moved aside."""
        path = self.folder(run) / "result.json"
        try:
            found: dict[str, Any] = read_json(path)
            if found["version"] != 1 or found["run"] != run or "test" not in found["metrics"]:
                raise ValueError(f"{path} is not the result of run {run}")
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            aside = path.with_suffix(".json.damaged")
            path.replace(aside)
            print(f"{error}; it is now {aside.name}, and the run is evaluated again", file=sys.stderr)
            return None
        return found

    def state(self, run: Run) -> State:
        result = self.result(run.id)
        if result is not None:
            return State("done", result=result)
        folders = [self.folder(run.id)]
        if run.stage is not None:
            folders.append(self.results / "pretrained" / run.stage)
        line = next(filter(None, (last_line(folder / "log.jsonl") for folder in folders)), {})
        for folder in folders:
            owner = holder(folder / "lock")
            if owner is not None:
                return State("running", owner=owner, line=line)
        failure = self.folder(run.id) / "failure.json"
        if failure.exists():
            return State("failed", failure=read_json(failure), line=line)
        started = any((folder / "log.jsonl").exists() for folder in folders)
        return State("interrupted" if started else "waiting", line=line)

    def record_failure(self, run: str, error: BaseException) -> None:
        """failure.json of a run: what went wrong, where, and how often it was tried."""
        path = self.folder(run) / "failure.json"
        attempts = self._attempts(run)
        write_json(path, {
            "run": run, "stage": last_line(self.folder(run) / "log.jsonl").get("stage", "pretrain"),
            "step": last_line(self.folder(run) / "log.jsonl").get("step", 0),
            "error": f"{type(error).__name__}: {error}", "traceback": "".join(traceback.format_exception(error)),
            "attempts": attempts + 1, "time": round(time.time(), 2),
        })  # fmt: skip

    def forget_failure(self, run: str) -> None:
        """Let a failed run be tried again; how often it was tried is kept."""
        path = self.folder(run) / "failure.json"
        path.replace(path.with_name("failure.previous.json"))

    def _attempts(self, run: str) -> int:
        before = self.folder(run) / "failure.previous.json"
        return int(read_json(before)["attempts"]) if before.exists() else 0

    def write_sweeps(self, plan: Plan, command: str) -> None:
        """sweep.json of every table of the plan, and of the plan where it has parts."""
        for table in plan.tables:
            path = self.results / "sweeps" / table.folder / "sweep.json"
            try:
                before = read_json(path) if path.exists() else None
            except ValueError:
                before = None  # it is derived: written anew
            write_json(path, sweep_record(plan, table, command, before))
        if len(plan.tables) > 1:
            parts = [table.folder for table in plan.tables]
            record = {"version": 1, "name": plan.name, "preset": plan.preset, "command": command, "parts": parts}
            write_json(self.results / "sweeps" / plan.folder / "sweep.json", record)


def last_line(path: Path) -> dict[str, Any]:
    """The last whole line of a log; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return {}
    for line in reversed(lines):
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        return found
    return {}
