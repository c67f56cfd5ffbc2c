"""The source of a plugin: a file or a package, identified by a digest of its content.

As with the code of the project (`simvtp/config/code_version.py`), files are compared as syntax trees without docstrings
and log lines, so comments and formatting change no digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
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
