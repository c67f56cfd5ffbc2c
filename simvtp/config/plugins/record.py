"""The config field `plugins`: what of plugins a config uses, with the place and digest of each plugin.

Written KEY=PLACE#DIGEST, joined by semicolons: objective.features=/home/me/masked_features.py#0123456789abcdef.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ENTRY = re.compile(r"([a-z]+\.[a-z0-9_]+)=(.+?)#([0-9a-f]{16})(?:;|$)", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """place: path of a plugin; digest: of its content."""

    place: str
    digest: str


def parse_record(text: str) -> dict[str, Entry]:
    """Extension -> its plugin; raises ValueError where the text is no such record."""
    found, end = {}, 0
    for match in _ENTRY.finditer(text):
        if match.start() != end:
            break
        found[match[1]] = Entry(match[2], match[3])
        end = match.end()
    if end != len(text):
        raise ValueError("nothing: it is filled in by what --plugin loads")
    return found


def write_record(entries: Mapping[str, Entry]) -> str:
    """The inverse, in the order of the extensions' names."""
    return ";".join(f"{key}={entry.place}#{entry.digest}" for key, entry in sorted(entries.items()))


def normal_record(text: str) -> str:
    """The one spelling of a record; raises ValueError."""
    return write_record(parse_record(text))
