"""Checks of one part, run one after another in one process; each writes its record before and after.

A record is one JSON object a line: {"part", "check", "state", ...}. States: `started` (with the check's limit in
seconds, again with every row of its table), then `done` (all rows) or `failed` (the error). The parent process adds
`killed` for a check that exceeded its limit and `died` for one that took its process along. A check with any record is
not started again, so a part can be restarted after each of these.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu_parts.scale import Scale

Row = dict[str, str]
FAILED = 4  # exit code of a process in which a check failed


@dataclass(frozen=True)
class Check:
    """name: its title in the report; seconds: its time limit; run: gives the rows of its table, all with one set of
    columns; rows that it yields are kept where it is killed. A row whose column `ok` is "no" marks the check as not
    passed."""

    name: str
    seconds: float
    run: Callable[[Scale], Iterable[Row]]


def append(records: Path, record: Mapping[str, Any]) -> None:
    """Add one line, on disk before the call returns to the program."""
    with records.open("a") as file:
        file.write(json.dumps(record) + "\n")


def read(records: Path) -> list[dict[str, Any]]:
    """All records in order; a last line that was cut off is left out."""
    if not records.exists():
        return []
    lines = records.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]


def begun(records: Path, part: str) -> set[str]:
    """Names of the part's checks that have a record."""
    return {record["check"] for record in read(records) if record["part"] == part and "check" in record}


def run_checks(part: str, checks: Sequence[Check], records: Path, scale: Scale, seconds: float) -> int:
    """Run the checks that have no record yet, for as long as `seconds` are left; gives the process's exit code.

    An error is recorded, not raised, and no check follows it in this process: after most errors of CUDA nothing works
    in it any more. Then the code is FAILED.
    """
    until, known = time.monotonic() + seconds, begun(records, part)
    for check in (check for check in checks if check.name not in known):
        left = until - time.monotonic()
        if left < 1:
            break
        rows, limit = list[Row](), min(check.seconds, left)
        started = {"part": part, "check": check.name, "state": "started", "limit": round(limit, 1)}
        append(records, started)
        faulthandler.dump_traceback_later(0.9 * limit, exit=False)  # where it hangs, before the parent kills it
        began, outcome = time.monotonic(), {"state": "done"}
        try:
            for row in check.run(scale):
                rows.append(row)
                append(records, {**started, "rows": rows})
        except Exception as error:  # noqa: BLE001  (recorded; the other checks go on)
            traceback.print_exc(file=sys.stderr)
            outcome = {"state": "failed", "error": f"{type(error).__name__}: {error}"[:2000]}
        faulthandler.cancel_dump_traceback_later()
        took = round(time.monotonic() - began, 2)
        append(records, {"part": part, "check": check.name, **outcome, "rows": rows, "seconds": took})
        if outcome["state"] == "failed":
            return FAILED
    return 0
