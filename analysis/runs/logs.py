"""log.jsonl of a run and of its pre-training stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from analysis.runs.schema import Run
from simvtp.config.run_dirs import RUNS, STAGES, folder_of


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a log.jsonl; a line that is cut off (the run is being written, or was killed) is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = orjson.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines


def lines_of(run: Run, folder: Path) -> list[dict[str, Any]]:
    """What a run of the results folder logged: fine-tuning and validation, then pre-training, if it had one."""
    lines = read(folder_of(folder, RUNS, run.id) / "log.jsonl")
    return lines + (read(folder_of(folder, STAGES, run.pretrain) / "log.jsonl") if run.pretrain else [])
