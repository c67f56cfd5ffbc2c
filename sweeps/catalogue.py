"""Finds sweeps and searches: those of `sweeps/ablations/` by name, a user's file by its path."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from simvtp.config.schema import Config
from simvtp.errors import ConfigError, nearest
from simvtp.runtime.files import expanded
from sweeps.definition import Point, Sweep
from sweeps.search_definition import Search

ABLATIONS = Path(__file__).parent / "ablations"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")

Made = TypeVar("Made")


def names() -> list[str]:
    """Every sweep of `sweeps/ablations/`, by file."""
    return [name for name, module in _ablations().items() if hasattr(module, "SWEEP")]


def searches() -> list[str]:
    """Every search of `sweeps/ablations/`, by file: it defines a space instead of points."""
    return [name for name, module in _ablations().items() if hasattr(module, "SEARCH")]


@functools.cache
def _ablations() -> dict[str, ModuleType]:
    names = sorted(module.name for module in pkgutil.iter_modules([str(ABLATIONS)]))
    return {name: importlib.import_module(f"sweeps.ablations.{name}") for name in names}


def is_ablation(name: str) -> bool:
    """Whether `sweeps/ablations/` has a file of this name."""
    return name.isidentifier() and (ABLATIONS / f"{name}.py").is_file()


def find_sweep(name: str) -> Sweep:
    """The sweep of that name in `sweeps/ablations/`; raises ConfigError that offers the nearest one."""
    sweep = find(name)
    if not isinstance(sweep, Sweep):
        raise ConfigError(f"{name} is a search, and a sweep is wanted: one of {', '.join(names())}")
    return sweep


def find(name: str) -> Sweep | Search:
    """The sweep or search of that name in `sweeps/ablations/`; raises ConfigError that offers the nearest one."""
    if not is_ablation(name):
        known = [*names(), *searches()]
        hint = f" (a file of your own goes by its path: ./{name}.py)" if Path(f"{name}.py").is_file() else ""
        raise ConfigError(f"unknown sweep {name!r}; there are {', '.join(known)}{nearest(name, known)}{hint}")
    return _defined(importlib.import_module(f"sweeps.ablations.{name}"), name)


def is_file(text: str) -> bool:
    """Whether the argument for a sweep is a path, existing or not."""
    return text.endswith(".py") or "/" in text


def from_file(text: str) -> tuple[str, Sweep | Search]:
    """The name of a sweep's file, without extension, and its SWEEP or SEARCH.

    Its folder can be imported from. Raises ConfigError that names the file, and the line where its own code fails.
    """
    path = expanded(text).absolute()  # as tracebacks name it
    if path.is_dir() or not path.exists():
        why = "a folder; name the file in it" if path.is_dir() else "not there"
        raise ConfigError(f"{text}: this file is {why}")
    name = path.stem
    if path.suffix != ".py":
        raise ConfigError(f"{text}: a sweep is a file of Python, whose name ends with .py")
    if path.resolve().parent == ABLATIONS:
        return name, find(name)
    if is_ablation(name):
        raise ConfigError(
            f"{text}: sweeps/ablations/ has a sweep {name} already, and both would have the same folder of results; "
            "rename the file"
        )
    check_name(name, f"{text}: results are called after the file")
    module = _execute(path, text)
    definition = _defined(module, text)
    if isinstance(definition, Sweep) and callable(definition.points):
        definition = replace(definition, points=_reported(definition.points, path, text))
    return name, definition


def check_name(name: str, what: str) -> None:
    """Raise ConfigError, which begins with `what`, for a name that folders and LaTeX files cannot have."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"{what}, and {name!r} is not possible; take letters, digits and _ . + - only")


def _execute(path: Path, text: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_sweep_file_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # dataclasses of the file look it up
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that no file there hides an installed module
    with _errors_of(path, text):
        spec.loader.exec_module(module)
    return module


def _defined(module: ModuleType, text: str) -> Sweep | Search:
    """SWEEP or SEARCH of a module; raises ConfigError."""
    defined = [name for name in ("SWEEP", "SEARCH") if hasattr(module, name)]
    if len(defined) != 1:
        other = [key for key, value in vars(module).items() if isinstance(value, Sweep | Search)]
        hint = f"; {other[0]} of it is one: call it so" if other and not defined else ""
        count = "both SWEEP and SEARCH" if defined else "neither SWEEP nor SEARCH"
        raise ConfigError(f"{text}: it defines {count}, and one of them is wanted{hint}")
    definition = getattr(module, defined[0])
    kind: type[Sweep | Search] = Sweep if defined[0] == "SWEEP" else Search
    if not isinstance(definition, kind):
        raise ConfigError(f"{text}: its {defined[0]} is of type {type(definition).__name__}, not {kind.__name__}")
    return definition


def _reported(
    points: Callable[[Config], Sequence[Point]], path: Path, text: str
) -> Callable[[Config], Sequence[Point]]:
    def reported(base: Config) -> Sequence[Point]:
        with _errors_of(path, text):
            return list(points(base))

    return reported


@contextmanager
def _errors_of(path: Path, text: str) -> Iterator[None]:
    """Turn errors in the code of a sweep's file into ConfigError that names the file and the line."""
    try:
        yield
    except SyntaxError as error:
        where = text if error.filename == str(path) else str(error.filename)
        raise ConfigError(f"{where}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        kind = "" if isinstance(error, ConfigError) else f"{type(error).__name__}: "
        raise ConfigError(f"{text}{f', line {lines[-1]}' if lines else ''}: {kind}{error}") from error
