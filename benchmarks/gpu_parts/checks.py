"""Sizes of what `make gpu` measures, and the checks of one part: run one after another in one process.

Each check writes a record before and after: one JSON object a line, {"part", "check", "state", ...}. States: `started`
(with the check's limit in seconds, again with every row of its table), then `done` (all rows) or `failed` (the error).
The parent process adds `killed` for a check that exceeded its limit and `died` for one that ended its process. A check
with any record is not started again, so a part can be restarted after each of these.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CORPUS = (
    "sprites:tiny?clips=128&finetune=32&validation=24&test=24&test_seen=16&pretrain_validation=8"  # rendered in seconds
)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Sizes of all parts.

    device: cuda or cpu. out: folder of the whole run, for files that a part leaves there. tiny, base, small: changes to
    these presets. batch: of tiny in correctness checks; base_batch: of base there; step_batch: of the timed base steps;
    largest_batch: where doubling ends. seconds: of each timing. sides: of the square matrix products whose best rate is
    the ceiling. clips, workers: of the loader. compiler: backend of torch.compile. seeds, pack: of the sweep.
    """

    device: str
    out: str
    tiny: Mapping[str, Any] = field(default_factory=dict)
    base: Mapping[str, Any] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 16
    base_batch: int = 2
    step_batch: int = 64
    largest_batch: int = 4096
    seconds: float = 1.0
    sides: tuple[int, ...] = (4096, 8192)
    clips: int = 256
    workers: tuple[int, ...] = (8, 16)
    compiler: str = "inductor"
    seeds: str = "0,1,2"
    pack: int = 4


def full(out: str) -> Scale:
    """For one GPU of 40 GB or more."""
    return Scale(device="cuda", out=out)


def rehearsal(out: str) -> Scale:
    """All parts in minutes on one CPU core; its figures mean nothing."""
    model = {
        "model.frames": 8, "model.size": 32, "model.patch": 8, "model.width": 32, "model.depth": 2, "model.heads": 2,
        "model.decoder_width": 16, "model.decoder_depth": 1, "model.decoder_heads": 2,
    }  # fmt: skip
    sweep = {
        **model, "data.pretrain": CORPUS, "data.finetune": CORPUS,
        "pretrain.length": "4 steps", "pretrain.warmup": "1 steps", "pretrain.batch": 4, "pretrain.precision": "fp32",
        "finetune.length": "2 steps", "finetune.warmup": "1 steps", "finetune.batch": 4, "finetune.precision": "fp32",
        "machine.workers": 0, "machine.threads": 1, "machine.frame_cache": True,
    }  # fmt: skip
    return Scale(
        device="cpu", out=out, tiny=model, base=model, small=sweep, batch=4, base_batch=2, step_batch=4,
        largest_batch=8, seconds=0.05, sides=(128, 256), clips=8, workers=(0, 2),
        compiler="aot_eager", seeds="0", pack=2,
    )  # fmt: skip


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
