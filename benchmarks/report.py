"""Output of benchmarks: the machine, and one Markdown table."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from analysis.tables.markdown import pipe_table

ROOT = Path(__file__).resolve().parents[1]


def environment() -> dict[str, str]:
    """Processor, cores, packages, commit and date; no name of the machine."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "-uno") else ""),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def print_environment() -> None:
    print(", ".join(f"{name} {value}" for name, value in environment().items()), end="\n\n", flush=True)


def markdown(rows: Sequence[dict[str, str]]) -> str:
    """Rows of one table; a column is as in the first row."""
    headings = list(rows[0])
    return pipe_table(headings, [[row[heading] for heading in headings] for row in rows])


def tables_of(printed: str) -> list[tuple[list[str], list[dict[str, str]]]]:
    """The Markdown tables in what a benchmark has printed: their lines, and their rows by column."""
    tables: list[list[str]] = []
    before = ""
    for line in printed.splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                tables.append([])
            tables[-1].append(line)
        before = line
    return [(lines, [dict(zip(_cells(lines[0]), _cells(line), strict=True)) for line in lines[2:]]) for lines in tables]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _processor() -> str:
    """The processor's name, and its vector and bf16 instructions."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in lines.items()}
    flags = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in fields.get("flags", "").split()]
    return f"{fields.get('model name', platform.machine())} ({' '.join(flags)})"


def _git(*words: str) -> str:
    if shutil.which("git") is None:
        return ""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()
