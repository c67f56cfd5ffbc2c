"""Deaths of runs and pre-trainings, and the rule that turns them into failures.

A death is the end of a job without a result; each folder lists its deaths in deaths.jsonl. A run or pre-training that
dies three times at the same step of the same stage has failed; one that makes progress between deaths is tried again
without limit. Ends from outside (cancelled jobs, lost nodes) are counted separately, and ten at the same step fail it.
An error that every try would repeat fails it at once.
"""

from __future__ import annotations

import errno
import json
import time
import traceback
from pathlib import Path
from typing import Any

from simvtp.errors import NotFinite
from simvtp.runtime.files import json_objects, read_json, write_json
from simvtp.training.log_lines import log_lines

BUDGET = 3
EXTERNAL_BUDGET = 10
TAIL_LINES = 40
DEATH = {"time": int | float, "job": str, "stage": str, "step": int, "error": str}  # what a line of deaths.jsonl has
FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: BaseException) -> bool:
    """Whether the error is a full disk or an exhausted quota, which does not count as a death."""
    return isinstance(error, OSError) and error.errno in FULL


def is_final(error: BaseException) -> bool:
    """Whether every try would raise the error again: bad input, or a loss that is not finite."""
    return isinstance(error, ValueError | NotFinite)


def last_line(path: Path) -> dict[str, Any]:
    """The last complete line of a log; empty if there is none."""
    return next(reversed(log_lines(_last_bytes(path, 4096))), {})


def progress(path: Path) -> dict[str, Any]:
    """The last training line of a log with the last validation's R@1 and, as `since`, the time of its first line."""
    lines = log_lines(_last_bytes(path, 4096))
    if not lines:
        return {}
    last = next((line for line in reversed(lines) if "steps" in line), lines[-1])
    score = next((line["R@1"] for line in reversed(lines) if "R@1" in line), None)
    with path.open("rb") as file:
        first = log_lines(file.readline())
    since = {"since": first[0]["time"]} if first else {}
    return {**last, **since, **({} if score is None else {"R@1": score})}


def tail(path: Path) -> list[str]:
    """The last lines of a job's output; empty if there is none."""
    return _last_bytes(path, 16_384).decode(errors="replace").splitlines()[-TAIL_LINES:]


def _last_bytes(path: Path, count: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - count))
            return file.read()
    except FileNotFoundError:
        return b""


def read_deaths(folder: Path) -> list[dict[str, Any]]:
    """Deaths of a run or stage since its last retry, oldest first."""
    try:
        content = (folder / "deaths.jsonl").read_bytes()
    except FileNotFoundError:
        return []
    whole = [death for death in json_objects(content) if all(isinstance(death.get(k), of) for k, of in DEATH.items())]
    return [death for death in whole if 0 <= death["time"] < 1e11]  # seconds that `time.localtime` takes


def record_death(
    folder: Path, stage: str, error: BaseException, job: str, log: Path | None, *, external: bool = False
) -> bool:
    """Record a death; returns whether the run or pre-training has now failed. If so, failure.json is written.

    folder: of the run or stage. stage: "pretrain" or "finetune", used if the log has no line yet. error: the cause.
    job: its name (`Executor.describe`). log: output file of the job. external: whether it was ended from outside.
    """
    line = last_line(folder / "log.jsonl")
    entry = {
        "time": round(time.time(), 2), "job": job, "stage": line.get("stage", stage), "step": line.get("step", 0),
        "error": f"{type(error).__name__}: {error}", "external": external,
        "traceback": "".join(traceback.format_exception(error)), "log": tail(log) if log else [],
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "deaths.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
    same = []
    for death in reversed(read_deaths(folder)):
        if (death["stage"], death["step"]) != (entry["stage"], entry["step"]):
            break
        same.append(death)
    own = sum(not death.get("external") for death in same)
    if own < BUDGET and len(same) < EXTERNAL_BUDGET and not is_final(error):
        return False
    write_failure(folder, {**entry, "run": folder.name, "deaths": len(same)})
    return True


def write_failure(folder: Path, entry: dict[str, Any]) -> None:
    """Write failure.json of a run or stage. entry: run, stage, step, error, traceback, and further fields."""
    before = read_failure(folder / "failure.previous.json") or {}
    write_json(folder / "failure.json", {**entry, "attempts": int(before.get("attempts", 0)) + 1,
                                         "time": round(time.time(), 2)})  # fmt: skip


def clear_failure(folder: Path) -> None:
    """Reset a failed run or stage, so that it is tried again; the number of attempts is kept."""
    for name in ("failure", "deaths"):
        for path in folder.glob(f"{name}.json*"):
            path.replace(path.with_name(path.name.replace(".json", ".previous.json")))


def read_failure(path: Path) -> dict[str, Any] | None:
    """Content of a failure.json; None if there is none. A damaged one still counts as a failure."""
    try:
        failure = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        failure = None
    return (
        failure if isinstance(failure, dict) and "error" in failure else {"error": f"unknown: {path.name} is damaged"}
    )
