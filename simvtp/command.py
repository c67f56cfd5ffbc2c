"""How every command ends: bad input and interruption are a paragraph and an exit code, not a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from simvtp.data.errors import DataError
from simvtp.locks import Busy
from simvtp.stopping import Interrupted
from simvtp.validation import ConfigError


def main(command: Callable[[], None]) -> None:
    """Run a command. Exit codes: 0 done, 2 bad input, 3 another process is at it, 130 interrupted (resumable)."""
    try:
        command()
    except (ConfigError, DataError) as error:
        _leave(f"error: {error}", 2)
    except Busy as error:
        _leave(f"busy: {error}", 3)
    except Interrupted as error:
        _leave(f"{error}; the same command continues from there", 130)


def _leave(text: str, code: int) -> None:
    rank = int(os.environ.get("RANK", "0"))  # as `distributed` has it, which takes seconds to import
    print(f"process {rank}: {text}" if rank else text, file=sys.stderr)
    sys.exit(code)
