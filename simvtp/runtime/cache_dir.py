"""The cache folder, for the embedded corpus and decoded frames, and locks for writing there."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simvtp.runtime.files import folder_to_make
from simvtp.runtime.locks import Busy, Lock

log = logging.getLogger(__name__)

POLL_SECONDS = 0.3


def cache_folder() -> Path:
    """$SIMVTP_CACHE, or ~/.cache/simvtp where that is not set. Raises ConfigError where that is of no known user."""
    return folder_to_make(os.environ.get("SIMVTP_CACHE") or "~/.cache/simvtp", "SIMVTP_CACHE")


@contextmanager
def wait_for(lock: Path, what: str) -> Iterator[None]:
    """Hold the lock file, waiting as long as another live process holds it; `what` names the work in the message."""
    reported = False
    while True:
        attempt = Lock(lock)
        try:
            attempt.__enter__()
            break
        except Busy as busy:
            if not reported:
                log.info("%s: waiting for another process to finish (%s)", what, busy)
                reported = True
            time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        attempt.__exit__(None, None, None)


def write_unsynced(path: Path, content: bytes) -> None:
    """Write whole or not at all, without waiting for the disk: for many small files whose sizes are checked later."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
