"""Corpora in WebDataset shards: those of `python -m simvtp.data.pack`, whose lists are read here, and others.

DIR/packed.json       what was packed, and into how many shards; written last
DIR/train/000003.tar  members N.mp4 (bytes as they were) and N.json (video id, captions), N: place in the split
DIR/train/000003.json the same ids and captions, and where each video lies in the tar file

Videos come in the order of the corpus that was packed, so with equal seeds a training batch is the same from either.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simvtp.data.annotations.records import Record
from simvtp.data.annotations.text_files import read_json_file
from simvtp.data.corpora import video2dataset
from simvtp.data.video.paths import member_path
from simvtp.errors import DataError

SUMMARY = "packed.json"
SETTINGS = "packing.json"  # there from the beginning of packing on


def read(root: Path, split: str) -> tuple[list[Record], Path]:
    """Videos of a split, and the folder that their paths count from; raises DataError.

    Shards that `pack` did not write are read as those of video2dataset.
    """
    if not (root / SUMMARY).is_file():
        if not (root / SETTINGS).is_file() and video2dataset.has_shards(root):
            return video2dataset.read(root, "train" if split == "pretrain" else split)
        raise DataError(
            f"{root} has no {SUMMARY}: it holds no shards, or packing them was interrupted (the same command of "
            "python -m simvtp.data.pack goes on)"
        )
    content = read_json_file(root / SUMMARY)
    splits = content.get("splits") if isinstance(content, dict) else None
    if not isinstance(splits, dict) or not all(isinstance(count, int) for count in splits.values()):
        raise DataError(f"{root / SUMMARY} does not say how many shards each split has; pack again")
    name = "train" if split == "pretrain" and split not in splits else split
    if name not in splits:
        raise DataError(f"{root}: split {name!r} was not packed; there is {', '.join(splits) or 'nothing'}")
    shards = (f"{name}/{number:06d}" for number in range(splits[name]))
    return [record for shard in shards for record in _read_list(root, shard)], root


def _read_list(root: Path, shard: str) -> list[Record]:
    path = root / f"{shard}.json"
    content = read_json_file(path)
    try:
        return [_record(f"{shard}.tar", entry) for entry in content["videos"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path} is no list of a shard's videos ({type(error).__name__}: {error}); pack again"
        ) from error


def _record(shard: str, entry: dict[str, Any]) -> Record:
    captions, name = entry["captions"], entry["name"]
    if not isinstance(captions, list) or not captions or not all(isinstance(caption, str) for caption in captions):
        raise ValueError(f"no captions of {entry['video_id']!r}")
    if not isinstance(name, str):
        raise TypeError(f"the member {name!r} is no text")
    file = member_path(shard, int(entry["start"]), int(entry["size"]), name)
    return Record(str(entry["video_id"]), file, tuple(captions))
