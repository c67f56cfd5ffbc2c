"""A part in its own process: time limits, kills, restarts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu_parts.checks import FAILED, append, begun, read

POLL_SECONDS = 0.2
GRACE_SECONDS = 15.0  # from SIGTERM to SIGKILL
LEAST_SECONDS = 5.0  # with less time left a part is not started again


def run_part(
    part: str, command: Sequence[str], records: Path, log: Path, seconds: float, environment: Mapping[str, str]
) -> None:
    """Run one part for at most `seconds`, its output in `log`; gives back when it is over, whatever became of it.

    command: runs the part's checks that have no record yet; the seconds that are left are added as its last argument.
    A check that exceeds its limit is killed and one that ends its process is noted; after these, and after a check that
    failed, the part is started again for the checks that are left.
    """
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > LEAST_SECONDS:
        before = begun(records, part)
        with log.open("a") as output:
            process = subprocess.Popen(
                [*command, f"{left:.0f}"], stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True, env={**os.environ, **environment},
            )  # fmt: skip
        try:
            why = _watch(process, part, records, until)
            current = _current(records, part)
        finally:
            kill(process)
        if current is not None and _last(records, part).get("state") != "done":  # it may end well on SIGTERM
            state, why = ("killed", why) if why else ("died", f"the process ended with code {process.returncode}")
            append(records, {"part": part, "check": current[0], "state": state, "error": why})
        elif process.returncode not in (0, FAILED) and not why:
            append(records, {"part": part, "state": "died", "error": f"code {process.returncode}; see {log.name}"})
        if process.returncode == 0 or begun(records, part) == before:
            return


def _watch(process: subprocess.Popen[bytes], part: str, records: Path, until: float) -> str:
    """Wait for the process; why it must be killed, or "" where it ended by itself."""
    seen: tuple[str, float] | None = None
    began = time.monotonic()
    while process.poll() is None:
        now, current = time.monotonic(), _current(records, part)
        if current != seen:
            seen, began = current, now
        if now > until:
            return "the part's time is over"
        if current is not None and now - began > current[1]:
            return f"not done after {current[1]:.0f} s"
        time.sleep(POLL_SECONDS)
    return ""


def _last(records: Path, part: str) -> dict[str, Any]:
    """The part's last record of a check; empty if there is none."""
    found = [record for record in read(records) if record["part"] == part and "check" in record]
    return found[-1] if found else {}


def _current(records: Path, part: str) -> tuple[str, float] | None:
    """Name and limit of the check that was started last and has no end yet."""
    last = _last(records, part)
    return (last["check"], last["limit"]) if last.get("state") == "started" else None


def kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it has started, in sessions of their own too: SIGTERM to its group, then SIGKILL."""
    started = descendants(process.pid)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    started |= descendants(process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid, began in started.items():
        if _began(pid) == began:  # the number may be another process's by now
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait()


def descendants(pid: int) -> dict[int, str]:
    """Children of a process, their children and so on: process number -> when it began, in the kernel's clock."""
    parents = {int(folder.name): _fields(folder) for folder in Path("/proc").iterdir() if folder.name.isdigit()}
    started: dict[int, str] = {}
    open_ones = [pid]
    while open_ones:
        parent = open_ones.pop()
        for child, fields in parents.items():
            if fields and int(fields[1]) == parent and child not in started:
                started[child] = fields[19]
                open_ones.append(child)
    return started


def _began(pid: int) -> str:
    fields = _fields(Path("/proc") / str(pid))
    return fields[19] if fields else ""


def _fields(folder: Path) -> list[str]:
    """/proc/PID/stat from the state on (proc(5): 0 state, 1 parent, 19 start time); empty if it has ended."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
