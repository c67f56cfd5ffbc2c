"""Pickled annotations, read without running anything that they ask for.

A pickle is a program: loading one from a stranger can start any command. This reader knows plain values only (text,
numbers, lists, tuples, dicts, sets), which need no import, and refuses all else.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from simvtp.data.errors import DataError


class _PlainValues(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only plain values are read")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(f"it refers to the outside object {pid!r}, and only plain values are read")


def read_pickle(path: Path) -> Any:
    """The plain value of a pickle file, of Python 2 as well; raises DataError that names the file."""
    try:
        with path.open("rb") as file:
            return _PlainValues(file, encoding="utf-8").load()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    except Exception as error:  # damaged pickles raise nearly anything, IndexError and KeyError among it
        raise DataError(f"{path} is refused or damaged as a pickle: {str(error) or type(error).__name__}") from error
