"""A corpus in a few large files, for network disks. `python -m simvtp.data.pack webvid:ROOT --out DIR`.

Writes WebDataset shards (tar files) that `shards:DIR` reads and that any WebDataset reader can stream. Bytes of videos
stay as they are; `python -m simvtp.data.prepare` makes them small first. The same command goes on after any
interruption: a shard appears whole, its list after it, and the summary last.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simvtp.cli import Parser, add_plugin_argument, main
from simvtp.config.plugins.loading import load_plugins
from simvtp.data.corpora.registry import Sample, each_split, kind_of, load, vocabulary
from simvtp.data.corpora.webdataset import SETTINGS, SUMMARY
from simvtp.data.video.paths import split_clip
from simvtp.errors import DataError
from simvtp.runtime.files import read_json, settle, write_bytes, write_json
from simvtp.runtime.locks import Lock
from simvtp.runtime.worker_pool import Bar

try:
    import webdataset
except ImportError:
    webdataset = None

log = logging.getLogger(__name__)

KEYS = "{:09d}"
HALF = re.compile(r"\.\d{6,}\.(tar\.partial|json\.\w+)")  # names of shards and lists that are being written


@dataclass(frozen=True)
class Shard:
    """file: the tar file below DIR; samples: (place in the split, sample) of those that it holds."""

    file: str
    samples: list[tuple[int, Sample]]


def pack(spec: str, out: Path, megabytes: float, skip: str = "") -> dict[str, int]:
    """Write shards of every split; gives how many videos of each they hold.

    megabytes: MiB of videos in a shard. skip: list of training videos to leave out. Raises DataError if the corpus
    cannot be read or DIR holds others, locks.Busy where another process packs there.
    """
    if webdataset is None:
        raise DataError("packing takes the library webdataset, which is not installed: pip install 'simvtp[shards]'")
    if kind_of(spec) == "shards":
        raise DataError(f"{spec} is packed already; name the corpus that it was made from to pack it otherwise")
    with Lock(out / "lock"):
        return _pack(spec, out, megabytes, skip)


def _pack(spec: str, out: Path, megabytes: float, skip: str) -> dict[str, int]:
    splits = each_split(spec, lambda name: load(spec, name, skip=skip).samples)  # none without a video of its gallery
    clips = [sample for samples in splits.values() for sample in samples if split_clip(sample.path)[1]]
    if clips:
        raise DataError(
            f"{spec} lists clips of longer videos, such as {clips[0].path}; shards hold whole videos: cut them first"
        )
    plan = {name: _shards(name, samples, megabytes * 2**20) for name, samples in splits.items()}
    todo = [shard for shards in plan.values() for shard in shards if not _is_whole(out, shard)]
    settle(out, SETTINGS, {"corpus": spec, "megabytes": megabytes, "videos": _digest(plan)},
           replaces=[*(out / shard.file for shard in todo), *_other_vocabulary(spec, out)])  # fmt: skip
    for half in (path for name in plan for path in (out / name).glob(".0*") if HALF.fullmatch(path.name)):
        half.unlink()  # what a kill cut off; the lock keeps others from writing here
    total = sum(len(shards) for shards in plan.values())
    with Bar(f"packing shards ({total - len(todo)} of {total} are there)", len(todo), alone=True) as advance:
        for shard in todo:
            _write(out, shard)
            advance(1)
    words = vocabulary(spec)
    if words is not None:
        write_bytes(out / "vocab.txt", words.read_bytes())
    counts = {name: len(shards) for name, shards in plan.items()}
    write_json(out / SUMMARY, {"version": 1, "corpus": spec, "splits": counts})
    return {name: sum(len(shard.samples) for shard in shards) for name, shards in plan.items()}


def _other_vocabulary(spec: str, out: Path) -> list[Path]:
    """vocab.txt of the output folder, if it is there and not the corpus's."""
    words, there = vocabulary(spec), out / "vocab.txt"
    return [there] if words and there.is_file() and there.read_bytes() != words.read_bytes() else []


def _shards(split: str, samples: Sequence[Sample], size: float) -> list[Shard]:
    """Videos in their order; a shard ends with the video that fills it."""
    shards: list[Shard] = []
    room = 0.0
    for index, sample in enumerate(samples):
        if room <= 0:
            shards.append(Shard(f"{split}/{len(shards):06d}.tar", []))
            room = size
        shards[-1].samples.append((index, sample))
        room -= sample.path.stat().st_size
    return shards


def _digest(plan: dict[str, list[Shard]]) -> str:
    """Of what goes where: shards of two ways of packing would pair videos with captions of others."""
    digest = hashlib.sha256()
    for shard in (shard for shards in plan.values() for shard in shards):
        for index, sample in shard.samples:
            size = sample.path.stat().st_size
            digest.update(json.dumps([shard.file, index, sample.video_id, sample.captions, size]).encode())
    return digest.hexdigest()[:16]


def _list_of(out: Path, shard: Shard) -> Path:
    return (out / shard.file).with_suffix(".json")


def _is_whole(out: Path, shard: Shard) -> bool:
    """Whether the list, written last, is there and the tar file has the size that it says."""
    if not _list_of(out, shard).exists():
        return False
    path = out / shard.file
    try:
        size = read_json(_list_of(out, shard))["bytes"]
    except (ValueError, KeyError, TypeError):  # damaged: the shard is written again
        return False
    return path.is_file() and path.stat().st_size == size


def _write(out: Path, shard: Shard) -> None:
    path = out / shard.file
    temporary = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            with webdataset.TarWriter(file, encoder=False, mtime=0, user="simvtp", group="simvtp") as tar:
                for index, sample in shard.samples:
                    tar.write(_members(index, sample))
            file.flush()
            os.fsync(file.fileno())
        videos = list(_positions(temporary, shard))
        size = temporary.stat().st_size
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}); the same command goes on") from error
    finally:
        temporary.unlink(missing_ok=True)
    write_json(_list_of(out, shard), {"bytes": size, "videos": videos})


def _members(index: int, sample: Sample) -> dict[str, Any]:
    about = {"video_id": sample.video_id, "captions": sample.captions}
    return {
        "__key__": KEYS.format(index),
        "json": json.dumps(about).encode(),
        _ending(sample): sample.path.read_bytes(),
    }


def _ending(sample: Sample) -> str:
    return sample.path.suffix[1:].lower() or "video"


def _positions(path: Path, shard: Shard) -> Iterator[dict[str, Any]]:
    """What the list says of each video: where the tar file has its bytes."""
    with tarfile.open(path) as tar:
        members = {member.name: member for member in tar}
    for index, sample in shard.samples:
        member = members[f"{KEYS.format(index)}.{_ending(sample)}"]
        where = {"name": member.name, "start": member.offset_data, "size": member.size}
        yield {"video_id": sample.video_id, "captions": sample.captions, **where}


def _main() -> None:
    parser = Parser(prog="python -m simvtp.data.pack", description=__doc__)
    parser.add_argument("corpus", help="kind:place, such as webvid:ROOT, msrvtt:ROOT or csv:FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the shards")
    parser.add_argument("--megabytes", type=float, default=500.0, metavar="MIB", help="of videos in a shard (500)")
    parser.add_argument("--skip", default="", metavar="FILE", help="training videos to leave out, as data.skip")
    add_plugin_argument(parser)
    given = parser.parse_args()
    load_plugins(given.plugins)
    if not 0 < given.megabytes < 1e9:
        raise DataError(f"--megabytes {given.megabytes:g}: a shard has to have room for something")
    began = time.monotonic()
    counts = pack(given.corpus, given.out, given.megabytes, given.skip)
    shown = ", ".join(f"{count} of {name}" for name, count in counts.items())
    log.info("packed in %.0f s: %s; the new corpus: shards:%s", time.monotonic() - began, shown, given.out)


if __name__ == "__main__":
    main(_main)
