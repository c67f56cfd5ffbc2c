"""Sweeps saved in results: sweep.json holds the points, so the name is enough without the file or options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simvtp.config.schema import Config
from simvtp.errors import ConfigError
from simvtp.runtime.files import read_json
from sweeps.catalogue import is_ablation
from sweeps.definition import Point, Sweep
from sweeps.plan import suffix_of


def saved_sweep(results: Path, name: str, preset: str, base: Config) -> Sweep | None:
    """The sweep of that name that was started with this preset and these changes to it; None if none was."""
    suffix = suffix_of(preset, base)
    record = _read(results / "sweeps" / f"{name}{suffix}" / "sweep.json")
    if record is None or record.get("name") != name:
        return None
    try:
        if "parts" in record:
            return Sweep(name, parts=tuple(str(part).removesuffix(suffix) for part in record["parts"]))
        points = [Point(point["label"], point["set"]) for point in record["points"]]
        return Sweep(record["title"], axes=tuple(record["axes"]), points=points)
    except (KeyError, TypeError, AttributeError, ConfigError):
        return None  # damaged, or of a version with other fields


def saved_names(results: Path) -> Iterator[tuple[str, str]]:
    """Name and title of each sweep of the results folder that is none of `sweeps/ablations/`, each once."""
    seen = set[str]()
    for path in sorted((results / "sweeps").glob("*/sweep.json")):
        record = _read(path) or {}
        name, title = str(record.get("name", "")), str(record.get("title", ""))
        if title and name not in seen and not is_ablation(name):
            seen.add(name)
            yield name, title


def commands_of(results: Path, name: str) -> list[str]:
    """The command lines that started sweeps of that name, with whatever preset and settings."""
    records = (_read(path) or {} for path in sorted((results / "sweeps").glob("*/sweep.json")))
    return [str(record["command"]) for record in records if record.get("name") == name and record.get("command")]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
