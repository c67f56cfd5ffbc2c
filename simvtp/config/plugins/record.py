"""The config field `plugins`: what of plugins a config uses, with the place and digest of each plugin.

Written KEY=PLACE#DIGEST, joined by semicolons: objective.features=/home/me/masked_features.py#0123456789abcdef.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_ENTRY = re.compile(r"([a-z]+\.[a-z0-9_]+)=(.+?)#([0-9a-f]{16})(?:;|$)", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """place: path of a plugin; digest: of its content."""

    place: str
    digest: str


def parse_record(text: str) -> dict[str, Entry]:
    """Extension -> its plugin; raises ValueError if the text is no such record."""
    entries, end = {}, 0
    for match in _ENTRY.finditer(text):
        if match.start() != end:
            break
        entries[match[1]] = Entry(match[2], match[3])
        end = match.end()
    if end != len(text):
        raise ValueError("nothing: it is filled in by what --plugin loads")
    return entries


def write_record(entries: Mapping[str, Entry]) -> str:
    """The inverse, in the order of the extensions' names."""
    return ";".join(f"{key}={entry.place}#{entry.digest}" for key, entry in sorted(entries.items()))


def merged(records: Iterable[str]) -> str:
    """The record of several configs of one plan."""
    return write_record({key: entry for record in records for key, entry in parse_record(record).items()})


def options_of(text: str) -> list[str]:
    """The words of a command line that load the plugins of a record."""
    places = dict.fromkeys(entry.place for entry in parse_record(text).values())
    return [word for place in places for word in ("--plugin", place)]


def normal_record(text: str) -> str:
    """The one spelling of a record; raises ValueError."""
    return write_record(parse_record(text))
