"""The source of a plugin: a file or a package, identified by a digest of its content; and the config field `plugins`.

As with the code of the project (`simvtp/config/code_version.py`), files are compared as syntax trees without docstrings
and log lines, so comments and formatting change no digest.

The field `plugins` records what of plugins a config uses, as KEY=PLACE#DIGEST, joined by semicolons:
objective.features=/home/me/masked_features.py#0123456789abcdef.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from simvtp.config.code_version import dumped
from simvtp.errors import ConfigError


@dataclass(frozen=True)
class Plugin:
    """place: absolute path of its file, or of the folder of its package. digest: of its content, 16 hex digits.
    sources: path from the parent of `place` -> content, of each of its files."""

    place: str
    digest: str
    sources: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    _loading: ClassVar[list[Plugin]] = []

    @staticmethod
    def of(path: Path) -> Plugin:
        """The plugin of a .py file or the folder of a package; raises ConfigError if it cannot be read as Python."""
        path = path.absolute()
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        sources, whole = {}, hashlib.sha256()
        for file in files:
            name = str(file.relative_to(path.parent))
            try:
                sources[name] = file.read_bytes()
                tree = dumped(sources[name])
            except OSError as error:
                raise ConfigError(f"plugin {file}: it cannot be read ({error.strerror or error})") from error
            except (SyntaxError, ValueError) as error:
                raise ConfigError(f"plugin {file}: it is no Python that can be read ({error})") from error
            whole.update(name.encode() + b"\0" + hashlib.sha256(tree.encode()).digest())
        return Plugin(str(path), whole.hexdigest()[:16], sources)

    @staticmethod
    def of_module(module: ModuleType) -> Plugin:
        """The plugin that a module belongs to: the one that is being loaded, else its own file."""
        if Plugin._loading:
            return Plugin._loading[-1]
        if module.__file__ is None:
            raise ConfigError(
                f"plugin {module.__name__}: it has no file, and what it registers could not be found again"
            )
        return Plugin.of(Path(module.__file__))

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Within the block, whatever registers something belongs to this plugin."""
        Plugin._loading.append(self)
        try:
            yield
        finally:
            Plugin._loading.pop()


_ENTRY = re.compile(r"([a-z]+\.[a-z0-9_]+)=(.+?)#([0-9a-f]{16})(?:;|$)", re.DOTALL)


def parse_record(text: str) -> dict[str, Plugin]:
    """Extension -> its plugin, without sources; raises ValueError if the text is no such record."""
    entries, end = {}, 0
    for match in _ENTRY.finditer(text):
        if match.start() != end:
            break
        entries[match[1]] = Plugin(match[2], match[3])
        end = match.end()
    if end != len(text):
        raise ValueError("nothing: it is filled in by what --plugin loads")
    return entries


def write_record(entries: Mapping[str, Plugin]) -> str:
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
