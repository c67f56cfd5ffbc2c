"""MSR-VTT by its standard splits: 1k-A (the default), 9k, 7k, full.

Test is on the 1000 pairs of MSRVTT_JSFUSION_test.csv; training is on the 9k or 7k list (1k-A: the 9k list where it is
there, else the official training videos). full: the official splits, with all captions of a test video as queries.

Published code trains on the 9k list, which contains the official validation videos, and chooses the epoch on the test
set. Here the epoch is chosen on the official validation split, so those videos are kept out of training.

Captions are in MSRVTT_data.json, which also has the official splits, or in annotation/MSR_VTT.json beside lists in
structured-symlinks/, the archive of Frozen in Time (https://github.com/m-bain/frozen-in-time). CSV lists lie in ROOT.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simvtp.data.annotations.records import Captions, Record, check_ids, field_of, quoted, text_field
from simvtp.data.annotations.text_files import read_json_file, read_lines, read_rows
from simvtp.data.annotations.video_files import first_file, first_folder
from simvtp.data.corpora.msvd import read_pickle
from simvtp.errors import DataError

log = logging.getLogger(__name__)

TEST = "MSRVTT_JSFUSION_test.csv"
SPLITS = ("1k-A", "9k", "7k", "full")
TRAIN = {"1k-A": "MSRVTT_train.9k.csv", "9k": "MSRVTT_train.9k.csv", "7k": "MSRVTT_train.7k.csv"}
JSON_SPLITS = {"train": "train", "val": "validate", "test": "test"}
_DATA = ("MSRVTT_data.json", "annotation/MSRVTT_data.json", "annotations/MSRVTT_data.json")
_COCO = "annotation/MSR_VTT.json"
_LISTS = ("structured-symlinks", "high-quality/structured-symlinks")
_FROZEN_TRAIN = {"1k-A": "train_list_jsfusion.txt", "9k": "train_list_jsfusion.txt", "7k": "train_list_miech.txt"}
_FROZEN_TEST, _FROZEN_QUERY = "val_list_jsfusion.txt", "jsfusion_val_caption_idx.pkl"
_FROZEN_FULL = {"train": "train_list_full.txt", "validate": "val_list_full.txt", "test": "test_list_full.txt"}


@dataclass(frozen=True)
class _Annotations:
    """path: the JSON file; split_of: official split of each video; captions of each video; lists: folder of lists."""

    path: Path
    split_of: Mapping[str, str]
    captions: Mapping[str, tuple[str, ...]]
    lists: Path | None = None


def read(root: Path, split: str, standard: str = "1k-A") -> tuple[list[Record], Path]:
    """Records of "train", "val" or "test" of a standard split, and the folder that their files count from."""
    one_query = split == "test" and standard != "full"
    if one_query and (root / TEST).is_file():
        return read_gallery(root, root / TEST)
    found = _annotations(root)
    if one_query:
        if found.lists is None:
            raise DataError(f"{root / TEST} cannot be read (No such file or directory)")
        return _frozen_gallery(root, found, found.lists)
    ids = [video for video, name in found.split_of.items() if name == JSON_SPLITS[split]]
    if split == "train" and standard != "full":
        listed = root / TRAIN[standard]
        if found.lists is not None and not listed.is_file():
            listed = found.lists / _FROZEN_TRAIN[standard]
        if standard != "1k-A" or listed.is_file():
            ids = _training_ids(root, listed, found)
    for video in ids:
        if video not in found.captions:
            raise DataError(f"{found.path}: the video {quoted(video)} of split {split} has no sentence")
    return [Record(video, f"{video}.mp4", found.captions[video]) for video in ids], video_folder(root)


def _training_ids(root: Path, path: Path, annotations: _Annotations) -> list[str]:
    """A training list without validation videos; raises DataError if it holds a test video."""
    listed = _ids(path)
    test = root / TEST if annotations.lists is None or (root / TEST).is_file() else annotations.lists / _FROZEN_TEST
    if test.is_file():
        both = sorted(set(_ids(test)).intersection(listed))
        if both:
            raise DataError(f"{path}: {len(both)} videos are in the test list as well, such as {quoted(both[0])}")
    unknown = [video for video in listed if video not in annotations.split_of]
    if unknown:
        raise DataError(
            f"{path}: {len(unknown)} of its videos are not in {annotations.path.name}, such as {quoted(unknown[0])}; "
            "the two files do not belong together"
        )
    kept = [video for video in dict.fromkeys(listed) if annotations.split_of[video] != "validate"]
    if len(kept) < len(set(listed)):
        log.warning(
            "msrvtt:%s: %d of the %d videos in %s are validation videos, on which the epoch is chosen; training leaves "
            "them out", root, len(set(listed)) - len(kept), len(set(listed)), path.name,
        )  # fmt: skip
    return kept


def _ids(path: Path) -> list[str]:
    """Video ids of a CSV with a column video_id, or of a text file with one a line."""
    if path.suffix == ".txt":
        return [line.strip() for line in read_lines(path)]
    return [row["video_id"] for row in read_rows(path, ("video_id",))]


def read_gallery(root: Path, path: Path) -> tuple[list[Record], Path]:
    """A test list, `key,vid_key,video_id,sentence`, separated by `,`, `;` or tabs."""
    records = []
    for row in read_rows(path, ("video_id", "sentence"), may_be_empty=("sentence",)):
        captions = Captions(path)
        captions.add(row["video_id"], row["sentence"], f"{path}, {row['video_id']}")
        records += [Record(video, f"{video}.mp4", texts) for video, texts in captions.by_video().items()]
    check_ids(records, str(path))
    return records, video_folder(root)


def _frozen_gallery(root: Path, annotations: _Annotations, lists: Path) -> tuple[list[Record], Path]:
    """The 1k-A pairs: the test videos, and which caption of each is its query."""
    chosen = read_pickle(lists / _FROZEN_QUERY)
    records = []
    for video in _ids(lists / _FROZEN_TEST):
        try:
            query = annotations.captions[video][int(chosen[video])]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DataError(
                f"{lists / _FROZEN_QUERY}: no caption is chosen for {quoted(video)}; put {TEST} into {root} instead"
            ) from error
        records.append(Record(video, f"{video}.mp4", (query,)))
    return records, video_folder(root)


def video_folder(root: Path) -> Path:
    """The folder of the video files, as the archives name it; the root itself where none is there."""
    return first_folder(root, ("videos/all", "videos", "MSRVTT_Videos", "video"))


def _annotations(root: Path) -> _Annotations:
    path = first_file(root, _DATA)
    if not path.is_file() and (root / _COCO).is_file():
        return _frozen(root)
    content = read_json_file(path)
    split_of: dict[str, str] = {}
    for i, entry in enumerate(_entries(content, "videos", path)):
        where = f"{path}, videos[{i}]"
        video, split = text_field(entry, "video_id", where), text_field(entry, "split", where)
        if split_of.setdefault(video, split) != split:
            both = f"{quoted(split_of[video])} and in split {quoted(split)}"
            raise DataError(f"{where}: the video {quoted(video)} is both in split {both}")
    return _Annotations(path, split_of, _sentences(content, "sentences", "video_id", path))


def _frozen(root: Path) -> _Annotations:
    """The archive of Frozen in Time: captions in the format of COCO, splits as lists of video ids."""
    path = root / _COCO
    lists = first_folder(root, _LISTS)
    captions = _sentences(read_json_file(path), "annotations", "image_id", path)
    split_of: dict[str, str] = {}
    for split, name in _FROZEN_FULL.items():
        for video in _ids(lists / name):
            if split_of.setdefault(video, split) != split:
                raise DataError(f"{lists / name}: the video {quoted(video)} is in split {split_of[video]} as well")
    return _Annotations(path, split_of, captions, lists)


def _sentences(content: Any, name: str, video: str, path: Path) -> dict[str, tuple[str, ...]]:
    captions = Captions(path)
    for i, sentence in enumerate(_entries(content, name, path)):
        where = f"{path}, {name}[{i}]"
        captions.add(text_field(sentence, video, where), field_of(sentence, "caption", where), where)
    return captions.by_video()


def _entries(content: Any, name: str, path: Path) -> list[Any]:
    entries = content.get(name) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise DataError(f"{path}: no list {name!r} at its top level; this is not MSR-VTT's {path.name}")
    return entries
