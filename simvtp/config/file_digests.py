"""Files that a setting names, with a digest of their content: `bad.txt` -> `bad.txt#3f0c...`.

The command that makes a config adds the digest to the given name. From then on the config identifies the content, even
without the file; ids depend on the content only, and a file that has changed is refused.
"""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path

from simvtp.errors import ConfigError, brief, quoted
from simvtp.runtime.files import expanded, read_json

_PINNED = re.compile(r"(.+)#([0-9a-f]{16})", re.DOTALL)


def split(value: str) -> tuple[str, str]:
    """The path or name in a setting, and its digest; "" if it has none."""
    match = _PINNED.fullmatch(value)
    return (match[1], match[2]) if match else (value, "")


def pin(key: str, value: str, digest: str) -> str:
    """The setting with the digest that was found; raises ConfigError if it was given another."""
    place, wanted = split(value)
    if wanted and digest != wanted:
        raise ConfigError(
            f"{key}: what is in {place} is not what was asked for (digest {digest}, not {wanted}); put the right file "
            "there, or leave out the part from # on to take this one"
        )
    return f"{place}#{digest}"


# The files that model.init names: the same weights give the same ids wherever they lie.
INDEX = "model.safetensors.index.json"
IN_FOLDER = ("model.safetensors", "weights.safetensors", "pytorch_model.bin")


def pinned_weights(init: str) -> str:
    """model.init with absolute paths and a digest of its files.

    Raises ConfigError if one is missing or is not what its digest says.
    """
    if not init:
        return init
    place, given = split(init)
    whole = "+".join(str(path.absolute()) for path in weight_sources(place))
    return pin("model.init", f"{whole}#{given}" if given else whole, _digest_weights(place))


def digest_of_weights(init: str) -> str:
    """The digest that model.init was given; without one, that of its files; raises ConfigError if one is missing."""
    place, given = split(init)
    return given or _digest_weights(place)


def weight_sources(init: str) -> list[Path]:
    """The files and folders of "videomae.pth+bert-folder", in that order; raises ConfigError if one is missing."""
    place, _ = split(init)
    whole = expanded(place)
    parts = [whole] if _exists(whole) else [expanded(part.strip()) for part in place.split("+")]
    for path in parts:
        if not _exists(path):
            raise ConfigError(
                f"model.init: {brief(path)} does not exist; name a checkpoint file or a folder with one (several are "
                "joined by +), or leave model.init empty to start from random weights"
            )
    return parts


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise ConfigError(f"model.init: {brief(path)} cannot be read ({error.strerror})") from error


def weight_files(source: Path) -> list[Path]:
    """The weight files of a source: itself, or those of a folder in the layout of transformers or of this project.

    Raises ConfigError if the folder has none.
    """
    if source.is_file():
        return [source]
    if (source / INDEX).is_file():
        return _shards(source)
    for name in IN_FOLDER:
        if (source / name).is_file():
            return [source / name]
    raise ConfigError(f"model.init: the folder {source} holds none of {', '.join((*IN_FOLDER, INDEX))}")


def _shards(folder: Path) -> list[Path]:
    try:
        names = sorted(set(read_json(folder / INDEX)["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"model.init: {folder / INDEX} is no index of safetensors files ({error!r})") from error
    files = {path.name for path in folder.iterdir() if path.is_file()}
    for name in names:
        if name not in files:
            raise ConfigError(f"model.init: {folder / INDEX} names {quoted(name)}, which is no file of that folder")
    return [folder / name for name in names]


def _digest_weights(init: str) -> str:
    """sha256[:16] over the contents of all files in order; their names and places do not count."""
    whole = hashlib.sha256()
    for source in weight_sources(init):
        for path in weight_files(source):
            status = path.stat()
            whole.update(_digest_of(path.resolve(), status.st_size, status.st_mtime_ns).encode())
    return whole.hexdigest()[:16]


@functools.lru_cache(maxsize=64)
def _digest_of(path: Path, size: int, changed: int) -> str:  # noqa: ARG001  (a file of another size or time is read anew)
    """sha256 of one file, read once in this process: a plan needs it for every run."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
