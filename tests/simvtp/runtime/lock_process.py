"""`python -m tests.simvtp.runtime.lock_process LOCK` takes a lock, says so, and holds it until its input ends.

Prints "held" or "busy: why"; after a line of input "own" or "lost: why". $STALE and $HEARTBEAT shorten the times.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from simvtp.runtime import liveness, locks


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
