"""Files that are written whole or not at all."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from simvtp.errors import DataError


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` in one step: a reader, also after a crash, sees the old content or the new."""
    write_parts(path, (content,))


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """`write_bytes` of what comes piece by piece, and is never whole in memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """JSON with an end-of-line; NaN and infinity are refused."""
    pieces = json.JSONEncoder(indent=1, allow_nan=False).iterencode(content)
    write_parts(path, (piece.encode() for piece in itertools.chain(pieces, "\n")))


def settle(folder: Path, name: str, wanted: dict[str, Any]) -> None:
    """Write down with what a folder was begun; raises DataError where it was begun with something else."""
    path = folder / name
    if path.exists():
        try:
            before = read_json(path)
        except ValueError as error:
            raise DataError(f"{error}; --out {folder} is begun anew then, and what is whole in it is kept") from error
        if not isinstance(before, dict):
            raise DataError(f"{path} does not hold the settings of --out {folder}; move it away")
        if before != wanted:
            differing = ", ".join(key for key in wanted if before.get(key) != wanted[key])
            raise DataError(f"--out {folder} was begun with another {differing} ({name}); name another folder")
    write_json(path, wanted)


def read_json(path: Path) -> Any:
    """Raises ValueError that names the file where it is no whole JSON, OSError where it cannot be read."""
    try:
        return orjson.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not whole JSON ({error}); move it away and run the same command again") from error
