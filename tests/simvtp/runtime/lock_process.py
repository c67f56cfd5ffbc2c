"""`python -m tests.simvtp.runtime.lock_process LOCK` takes a lock, says so, and holds it until its input ends.

Prints "held" or "busy: why"; after a line of input "own" or "lost: why". $STALE and $HEARTBEAT shorten the times.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from simvtp.runtime import liveness, locks

LINE = [sys.executable, "-m", "tests.simvtp.runtime.lock_process"]
FAST = {"HEARTBEAT": "0.2", "STALE": "3"}


def start(
    started: list[subprocess.Popen[str]],
    path: Path,
    before: Sequence[str] = (),
    line: Sequence[str] = (),
    **environment: str,
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*before, *(line or LINE), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **FAST, **environment},
    )  # fmt: skip
    started.append(process)
    return process


def heard(process: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def asked(process: subprocess.Popen[str]) -> str:
    """Whether it owns its lock still."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return heard(process)


def main() -> None:
    liveness.STALE_SECONDS = float(os.environ.get("STALE", liveness.STALE_SECONDS))
    liveness.HEARTBEAT_SECONDS = float(os.environ.get("HEARTBEAT", liveness.HEARTBEAT_SECONDS))
    try:
        with locks.Lock(Path(sys.argv[1])) as lock:
            print("held", flush=True)
            for _ in sys.stdin:
                try:
                    lock.verify()
                    print("own", flush=True)
                except locks.LockLost as error:
                    print(f"lost: {error}", flush=True)
    except locks.Busy as error:
        print(f"busy: {error}", flush=True)


if __name__ == "__main__":
    main()
