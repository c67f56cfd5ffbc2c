"""Atomic writes of files."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from simvtp.errors import ConfigError, DataError
from simvtp.runtime import locks
from simvtp.runtime.permissions import explained, make_folder

# A list without strings, lists and objects in it, as `json` prints it with an indent. A string holds no raw newline.
_NUMBERS = re.compile(r"\[\n([^\[\]{}\"]*)\]")


def expanded(path: str) -> Path:
    """A path with ~ in place; that of a user who is not known stays, and is then not found."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def folder_to_make(path: str, what: str) -> Path:
    """A folder that this program may make, with ~ in place.

    what: where the path was given. Raises ConfigError for ~ of an unknown user, which would become a folder's name.
    """
    folder = expanded(path)
    if path.startswith("~") and folder == Path(path):
        raise ConfigError(f"{what}: {path!r} begins with a home folder that is not known; write the whole path")
    return folder


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` in one step: a reader, also after a crash, sees the old content or the new."""
    write_parts(path, (content,))


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """`write_bytes` of what comes piece by piece, and is never whole in memory.

    The file gets the mode that the umask leaves of 0666. Raises locks.LockLost if this process held the lock of a
    folder above and lost it, ConfigError where the user may not write there, OSError where the disk is full.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        locks.verify(path)
        temporary.replace(path)
    except OSError as error:
        raise explained(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """JSON with an end-of-line; a list of numbers stands on one line. NaN and infinity are refused (ValueError)."""
    text = json.dumps(content, indent=1, allow_nan=False)
    write_bytes(path, _NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text).encode() + b"\n")


def settle(folder: Path, name: str, wanted: dict[str, Any], replaces: Iterable[Path] = ()) -> None:
    """Record the settings of an output folder; raises DataError if it was begun with others.

    name: the JSON file in `folder` that keeps them; wanted: the settings of this call; replaces: files that the call
    writes over. Where the folder was not begun, they are another program's, and DataError is raised if one is there.
    """
    path = folder / name
    if not path.exists() and (other := next((file for file in replaces if file.exists()), None)):
        raise DataError(f"--out {folder}: {other} is there, and was not made by this command; name another folder")
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


def json_objects(content: bytes) -> list[dict[str, Any]]:
    """The JSON objects of a file with one a line; a line that is none, such as one that a kill cut, is left out."""
    found = []
    for line in content.splitlines():
        with contextlib.suppress(ValueError):
            found.append(orjson.loads(line))
    return [entry for entry in found if isinstance(entry, dict)]


def read_json(path: Path) -> Any:
    """Raises DataError that names the file where it is no whole JSON, ConfigError where the user may not read it,
    another OSError where it cannot be read."""
    try:
        return orjson.loads(path.read_bytes())
    except PermissionError as error:
        raise explained(error, path) from error
    except ValueError as error:
        raise DataError(f"{path} is not whole JSON ({error}); move it away and run the same command again") from error
