"""WebDataset shards as video2dataset writes them: ROOT/00000.tar with KEY.mp4, KEY.txt and KEY.json, a few a video.

The caption is KEY.txt, else the field `caption` of KEY.json. Tar files directly in ROOT are training videos; those in
ROOT/train, ROOT/val (or validation, valid, dev) and ROOT/test are of these splits. Videos are read where they lie in
the tar files; what each tar file holds is listed once and kept in the cache folder for as long as its size and time of
change stay. https://github.com/iejMac/video2dataset
"""

from __future__ import annotations

import hashlib
import json
import logging
import tarfile
from pathlib import Path
from typing import Any

from simvtp.data.annotations.records import Captions, Record
from simvtp.data.annotations.video_files import ENDINGS
from simvtp.data.video.paths import member_path
from simvtp.errors import DataError
from simvtp.runtime.cache_dir import cache_folder
from simvtp.runtime.files import read_json, write_json
from simvtp.runtime.worker_pool import each

log = logging.getLogger(__name__)

FOLDERS = {"train": ("train",), "val": ("val", "validation", "valid", "dev"), "test": ("test",)}
_VERSION = 1

# key of a video -> {"name", "start", "size": its member; "caption": text or null}
Members = dict[str, dict[str, Any]]


def has_shards(root: Path) -> bool:
    """Whether there are tar files of a split."""
    return any(_shards(root, split) for split in FOLDERS)


def read(root: Path, split: str) -> tuple[list[Record], Path]:
    """Videos of "train", "val" or "test", and the folder that their paths count from.

    Keys without video (a failed download) or without caption are left out and counted. Raises DataError if the
    split has no tar file, or one cannot be read.
    """
    shards = _shards(root, split)
    if not shards:
        raise DataError(f"{root}: no tar files of split {split!r}, in {root} (train) or {root / split}")
    captions, files, without = Captions(root), dict[str, str](), 0
    for shard, members in zip(shards, _listed(shards), strict=True):
        for key, found in members.items():
            video = f"{shard.stem}/{key}"
            if "name" not in found:
                without += 1
                continue
            files[video] = member_path(
                str(shard.relative_to(root)), found["start"], found["size"], Path(found["name"]).name
            )
            captions.add(video, found.get("caption"), f"{shard}, {key}")
    if without:
        log.warning("%s, split %s: %d of %d keys have no video and are left out", root, split, without,
                    without + len(files))  # fmt: skip
    return [Record(video, files[video], texts) for video, texts in captions.by_video().items()], root


def _shards(root: Path, split: str) -> list[Path]:
    folders = [root / name for name in FOLDERS.get(split, ())] + ([root] if split == "train" else [])
    return next((found for folder in folders if (found := sorted(folder.glob("*.tar")))), [])


def _listed(shards: list[Path]) -> list[Members]:
    """What the tar files hold; those that are not in the cache folder are listed by several processes."""
    known = {shard: _kept(shard) for shard in shards}
    todo = [shard for shard, members in known.items() if members is None]
    for shard, members in each(list_tar, None, todo, title="listing tar files") if todo else ():
        known[shard] = members
        write_json(_cache_of(shard), {"version": _VERSION, "stamp": _stamp(shard), "members": members})
    return [known[shard] or {} for shard in shards]


def _kept(shard: Path) -> Members | None:
    try:
        content = read_json(_cache_of(shard))
        if content["version"] == _VERSION and content["stamp"] == _stamp(shard):
            return dict(content["members"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not listed yet, or damaged
    return None


def _cache_of(shard: Path) -> Path:
    name = hashlib.sha256(str(shard.absolute()).encode(errors="surrogateescape")).hexdigest()[:24]
    return cache_folder() / "tar_members" / f"{name}.json"


def _stamp(shard: Path) -> list[int]:
    found = shard.stat()
    return [found.st_size, found.st_mtime_ns]


def list_tar(_shared: None, shard: Path) -> Members:
    """What a tar file holds; raises DataError that names it where it cannot be read."""
    members: Members = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                folder, _, name = member.name.rpartition("/")
                stem, dot, ending = name.partition(".")  # as WebDataset cuts names
                if not member.isfile() or not stem or not dot:
                    continue
                found = members.setdefault(f"{folder}/{stem}" if folder else stem, {})
                if f".{ending}".lower() in ENDINGS:
                    found |= {"name": name, "start": member.offset_data, "size": member.size}
                elif ending in ("txt", "json"):
                    content = tar.extractfile(member)
                    assert content is not None
                    _add_caption(found, ending, content.read())
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{shard} cannot be read as a tar file ({error}); copy it again") from error
    except ValueError as error:
        raise DataError(f"{shard}: a caption is no UTF-8 text or no JSON ({error})") from error
    return members


def _add_caption(found: dict[str, Any], ending: str, content: bytes) -> None:
    """Note the caption of KEY.txt, or of KEY.json if there is no text."""
    if ending == "txt":
        found["caption"] = content.decode()
        return
    about = json.loads(content)
    caption = about.get("caption") if isinstance(about, dict) else None
    if caption is not None:
        found.setdefault("caption", str(caption))
