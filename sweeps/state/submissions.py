"""Submissions to SLURM: a record for each job array, written before sbatch is called, and claims in the run folders.

    results/jobs/<token>/record.json     the items of each task of the array, the array it follows, its job number
    results/jobs/open/<token>            there while a task of it may still run
    results/runs/<id>/job.json           the claim: token and task of the last submission of this run
    results/pretrained/<id>/job.json     the same of a stage

The token is part of the job's name, so an array whose controller was killed before it received the job number is found
by name. A job reads its items from the record and does not need the controller that submitted it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from simvtp.config.run_dirs import RUNS, STAGES, folder_of
from simvtp.config.schema import Config, flatten, unflatten
from simvtp.errors import DataError
from simvtp.runtime.files import read_json, write_json
from simvtp.runtime.locks import Busy, Lock

PREFIX = "simvtp-"
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Item:
    """A run or stage to be trained by a job. kind: `run`, or `pretrain` for a stage that several runs wait for."""

    kind: str
    id: str
    config: Config


@dataclass(frozen=True, slots=True)
class Claim:
    """Which task of which submission carries out a run or stage."""

    token: str
    task: int


@dataclass(frozen=True)
class Record:
    """One job array. job: SLURM's number, None until it is known; created: seconds since 1970.

    entries: kind, id and `set` (the fields that differ from `base`) of every item of every task, as on disk. Configs
    are built only when needed: a record has up to a thousand, and most readers need the job's number only.
    """

    token: str
    job: str | None
    created: float
    preset: str
    base: Mapping[str, Any]
    entries: Sequence[Sequence[Mapping[str, Any]]]

    def number(self, task: int) -> str:
        return f"{self.job}_{task}"

    def items(self, task: int) -> tuple[Item, ...]:
        return tuple(
            Item(entry["kind"], entry["id"], unflatten({**self.base, **entry["set"]})) for entry in self.entries[task]
        )


class Submissions:
    """The records and claims below one results folder.

    results: the results folder.
    """

    def __init__(self, results: Path) -> None:
        self.results, self.folder = results.resolve(), results.resolve() / "jobs"

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Only one process at a time reads claims and submits; others wait."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            lock = Lock(self.folder / "lock")
            try:
                lock.__enter__()
                break
            except Busy:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def folder_of(self, item: Item) -> Path:
        return self._home(item.kind, item.id)

    def _home(self, kind: str, name: str) -> Path:
        return folder_of(self.results, RUNS if kind == "run" else STAGES, name)

    def claim(self, kind: str, name: str) -> Claim | None:
        """The last claim on a run or stage; None if there is none or a damaged one."""
        path = self._home(kind, name) / "job.json"
        try:
            content = read_json(path)
            return Claim(content["token"], int(content["task"])) if isinstance(content["token"], str) else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def open(self, preset: str, tasks: Sequence[Sequence[Item]], stages: Mapping[str, str]) -> Record:
        """Write the record and the claims of a new array. stages: run id -> a stage that its own task makes."""
        token = time.strftime("%Y%m%d-%H%M%S-") + uuid.uuid4().hex[:6]
        base = flatten(tasks[0][0].config)
        entries = [[{"kind": i.kind, "id": i.id, "set": _difference(i.config, base)} for i in task] for task in tasks]
        record = Record(token, None, time.time(), preset, base, entries)
        self._write(record)
        marker = self.folder / "open" / token
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        for number, task in enumerate(tasks):
            for item in task:
                self._write_claim(self.folder_of(item), token, number)
                if item.kind == "run" and item.id in stages:
                    self._write_claim(self._home("pretrain", stages[item.id]), token, number)
        return record

    def _write_claim(self, folder: Path, token: str, task: int) -> None:
        """Write a claim atomically. No fsync, which takes a minute for ten thousand: the record has one."""
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f".job.json.{token}"
        new.write_text(json.dumps({"token": token, "task": task}) + "\n")
        new.replace(folder / "job.json")

    def set_job_id(self, record: Record, job: str) -> Record:
        """The same record with the job's number in it, on disk too."""
        submitted = replace(record, job=job)
        self._write(submitted)
        return submitted

    def close(self, token: str) -> None:
        """Mark a submission as over: none of its tasks can run any more."""
        (self.folder / "open" / token).unlink(missing_ok=True)

    def open_tokens(self) -> list[str]:
        """Tokens of which a task may still run."""
        try:
            return sorted(path.name for path in (self.folder / "open").iterdir())
        except FileNotFoundError:
            return []

    def number(self, claim: Claim | None) -> str | None:
        """SLURM's number of the job of a claim; None if there is no claim, or the number is not known yet."""
        record = self.read(claim.token) if claim is not None else None
        return record.number(claim.task) if claim is not None and record is not None and record.job else None

    def _write(self, record: Record) -> None:
        write_json(self.folder / record.token / "record.json", {
            "version": 1, "token": record.token, "job": record.job, "created": record.created,
            "preset": record.preset, "base": record.base, "tasks": record.entries,
        })  # fmt: skip

    def read(self, token: str) -> Record | None:
        """None if there is no such record; raises DataError if it is damaged."""
        path = self.folder / token / "record.json"
        try:
            content = read_json(path)
        except FileNotFoundError:
            return None
        try:
            return Record(
                content["token"],
                content["job"],
                float(content["created"]),
                content["preset"],
                content["base"],
                content["tasks"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is no record of a submission ({error!r}); move it away") from error


def _difference(config: Config, base: Mapping[str, Any]) -> dict[str, Any]:
    own = flatten(config)  # a field of a plugin that is off is not listed, and has its default
    return {key: own[key] for key in {**base, **own} if own[key] != base[key]}
