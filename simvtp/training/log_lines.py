"""Lines of log.jsonl as their readers may take them, whatever is in the file."""

from __future__ import annotations

from typing import Any

from simvtp.runtime.files import json_objects

_NAMES = ("stage", "of")  # the values that are text; all others are numbers


def log_lines(content: bytes) -> list[dict[str, Any]]:
    """The lines that have a stage, step and time. Left out are other lines, such as one that a kill cut, and values of
    another type."""
    lines = (
        {name: value for name, value in entry.items() if isinstance(value, str if name in _NAMES else int | float)}
        for entry in json_objects(content)
    )
    return [line for line in lines if {"stage", "step", "time"} <= line.keys()]
