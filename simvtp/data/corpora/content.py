"""The content of a corpus as one digest: its videos with captions and sizes, in their order, independent of its path.

Videos are identified by name and size and not opened. Digests of large corpora are cached for as long as their
annotation files (size, modification time) and the folders of their videos (modification time) are unchanged.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from simvtp.config.file_digests import pin, split
from simvtp.config.plugins.registry import EXTENSIONS
from simvtp.data.annotations.records import Record
from simvtp.data.annotations.video_files import ENDINGS, path_below
from simvtp.data.corpora.spec import CorpusSpec, is_list
from simvtp.data.video.paths import file_on_disk
from simvtp.runtime.cache_dir import cache_folder
from simvtp.runtime.files import read_json, write_json

Use = Literal["pretrain", "finetune"]
SPLITS: dict[Use, tuple[str, ...]] = {"pretrain": ("pretrain",), "finetune": ("train", "val", "test")}

MANY = 20_000  # videos from which on a digest is kept on disk; below, every size is looked at anew
_MOST_FILES = 100_000  # annotation files whose times are compared; a corpus with more is read anew each time
_SETTLED_SECONDS = 2.0  # a file changed this recently may change again within the same tick of the disk's clock

Stats = dict[str, list[int]]  # path -> size (0 for a folder) and time of change, ns

_known: dict[str, tuple[str, Stats]] = {}  # of this process: a plan asks for each of its points


def pinned_corpus(use: Use, spec: str) -> str:
    """A corpus with an absolute path and the digest of what `use` reads of it; the embedded one as it is.

    Raises DataError if it cannot be read, ConfigError where it is not the one of a digest that is given.
    """
    named, wanted = split(spec)
    parsed = CorpusSpec.parse(named)
    if parsed.kind == "sprites":  # its spec says all
        return spec
    whole = str(dataclasses.replace(parsed, place=os.path.abspath(parsed.path)))  # noqa: PTH100
    return pin(f"data.{use}", f"{whole}#{wanted}" if wanted else whole, _digest(whole, use))


def _digest(spec: str, use: Use) -> str:
    from simvtp.data.corpora.registry import read_records  # loads readers and decoders: not for the embedded corpus

    reader = EXTENSIONS.get(f"corpus.{spec.partition(':')[0]}")  # of a plugin: another code may read another thing
    code = f"\0{reader.plugin.digest}" if reader is not None else ""
    key = hashlib.sha256(f"{use}\0{spec}{code}".encode()).hexdigest()[:24]
    file = cache_folder() / "corpora" / f"{key}.json"
    for digest, stats in _kept(key, file):
        if all(_stat(path) == stat for path, stat in stats.items()):
            return digest
    hashed, folders, videos = hashlib.sha256(), set[Path](), 0
    for name in SPLITS[use]:
        records, root = read_records(spec, name)
        files = [file_on_disk(path_below(root, record.file)) for record in records]
        folders |= {path.parent for path in files}
        videos += len(files)
        for line in _lines(name, records, files):
            hashed.update(line)
    digest = hashed.hexdigest()[:16]
    stats = _stats(CorpusSpec.parse(spec), folders)
    if stats:
        _known[key] = digest, stats
        newest = max(changed for _, changed in stats.values())
        if videos >= MANY and time.time_ns() - newest > _SETTLED_SECONDS * 1e9:
            write_json(file, {"version": 1, "corpus": spec, "digest": digest, "stats": stats})
    return digest


def _lines(split_name: str, records: Iterable[Record], files: Iterable[Path]) -> Iterator[bytes]:
    sizes: dict[Path, dict[str, int]] = {}
    for record, path in zip(records, files, strict=True):
        if path.parent not in sizes:
            sizes[path.parent] = _sizes(path.parent)
        entry = [split_name, record.video_id, record.file, sizes[path.parent].get(path.name), *record.captions]
        yield json.dumps(entry).encode()


def _sizes(folder: Path) -> dict[str, int]:
    """Name -> size of every file; one listing a folder, since millions of single look-ups are slow."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    except OSError:  # a folder that is not there: its videos are missing
        return {}


def _stats(spec: CorpusSpec, folders: set[Path]) -> Stats:
    """Of all that a digest hangs on; nothing if that is too much to compare."""
    paths = [str(folder) for folder in folders]
    if is_list(spec.kind):
        paths += map(str, spec.lists)
    else:
        for folder, _, names in os.walk(spec.path, followlinks=True):  # a link to itself ends at _MOST_FILES
            paths.append(folder)
            paths += [os.path.join(folder, name) for name in names if not name.lower().endswith(ENDINGS)]  # noqa: PTH118
            if len(paths) > _MOST_FILES:
                return {}
    stats = {path: _stat(path) for path in paths}
    return {path: stat for path, stat in stats.items() if stat is not None}


def _stat(path: str) -> list[int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return [0 if os.path.isdir(path) else status.st_size, status.st_mtime_ns]  # noqa: PTH112


def _kept(key: str, file: Path) -> Iterator[tuple[str, Stats]]:
    if key in _known:
        yield _known[key]
    try:
        content = read_json(file)
        yield str(content["digest"]), dict(content["stats"])
    except (OSError, ValueError, KeyError, TypeError):
        return  # not kept, or damaged: the corpus is read
