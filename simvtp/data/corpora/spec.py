"""The name of a corpus: `kind:place`, or `kind:place?option=value&option=value`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from simvtp.config.file_digests import split
from simvtp.config.plugins.registry import EXTENSIONS
from simvtp.config.plugins.usage import LOAD
from simvtp.errors import DataError, nearest
from simvtp.runtime.files import expanded

HINT = "to try without any download, use the embedded corpus, sprites:tiny"
# Kind of corpus -> options that its name may carry. The embedded corpus parses its own (simvtp/data/sprites/scenes.py).
_LIST = ("video", "caption", "start", "end", "times", "label", "root", "train", "val", "test")
KINDS: Mapping[str, tuple[str, ...]] = {
    "sprites": (), "webvid": (), "msrvtt": ("split",), "msvd": (), "didemo": (), "lsmdc": (), "activitynet": (),
    "csv": _LIST, "json": _LIST, "parquet": _LIST, "shards": (),
}  # fmt: skip
LISTS = ("csv", "json", "parquet")  # kinds whose place is a file


def kinds() -> dict[str, tuple[str, ...]]:
    """Kind of corpus -> options that its name may carry, those of plugins too.

    Raises DataError if a plugin has taken a name of `KINDS`.
    """
    added: dict[str, tuple[str, ...]] = {}
    for key, extension in EXTENSIONS.items():
        if extension.kind == "corpus":
            if extension.name in KINDS:
                raise DataError(
                    f"{extension.plugin.place}: there is a corpus {extension.name} already; take another name"
                )
            added[key.partition(".")[2]] = extension.made.options
    return {**KINDS, **added}


def is_list(kind: str) -> bool:
    """Whether the place of a corpus of this kind is a file, not a folder."""
    extension = EXTENSIONS.get(f"corpus.{kind}")
    return kind in LISTS or (extension is not None and extension.made.is_file)


@dataclass(frozen=True)
class CorpusSpec:
    """kind: a key of `kinds()`; place: a folder, or the annotation file of a list (for sprites: its size and seed)."""

    kind: str
    place: str
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> CorpusSpec:
        """`text` may carry the digest of a resolved config. Raises DataError for an unknown kind or option, or where
        there is no place."""
        kind, colon, place = split(text)[0].partition(":")
        known = kinds()
        if kind not in known or not colon or not place:
            raise DataError(
                f"{text!r} is not a corpus; write kind:place with kind one of {', '.join(known)}, such as "
                f"webvid:data/webvid{nearest(kind, known)}, or of a plugin: {LOAD}; {HINT}"
            )
        if kind == "sprites":
            return cls(kind, place)
        place, _, tail = place.partition("?")
        options = {}
        for assignment in tail.split("&") if tail else []:
            name, _, value = assignment.partition("=")
            if name not in known[kind] or not value:
                takes = ", ".join(f"{option}=" for option in known[kind]) or "none"
                raise DataError(f"{text}: no option {assignment!r}; {kind} takes {takes}{nearest(name, known[kind])}")
            options[name] = value
        return cls(kind, place, options)

    def __str__(self) -> str:
        tail = "&".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.kind}:{self.place}" + (f"?{tail}" if tail else "")

    @property
    def path(self) -> Path:
        """The place as a path."""
        return expanded(self.place)

    @property
    def folder(self) -> Path:
        """The folder that holds the corpus's annotation files."""
        return self.path.parent if is_list(self.kind) else self.path

    @property
    def lists(self) -> list[Path]:
        """The files of a list: the place, and those that its options name for single splits."""
        named = [self.options[split] for split in ("train", "val", "test") if split in self.options]
        return [self.path, *(self.folder / expanded(name) for name in named)]

    def existing_path(self) -> Path:
        """The place; raises DataError if it does not exist, may not be read, or is a file where a folder is meant,
        or a folder where a file is."""
        path = self.path
        try:
            exists, is_folder = path.exists(), path.is_dir()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise DataError(f"{self}: {str(path)[:300]!r} cannot be read ({why})") from error
        if not exists:
            raise DataError(f"{path} does not exist (looked for in {Path.cwd()}); {HINT}")
        if is_folder and is_list(self.kind):
            raise DataError(f"{self}: {path} is a folder; {self.kind}: takes the file that lists videos and captions")
        if not is_folder and not is_list(self.kind):
            raise DataError(f"{self}: {path} is a file; {self.kind}: takes the folder that holds the corpus")
        return path
