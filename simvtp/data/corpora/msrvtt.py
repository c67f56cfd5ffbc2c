"""MSR-VTT by its standard splits: 1k-A (the default), 9k, 7k, full.

Test is on the 1000 pairs of MSRVTT_JSFUSION_test.csv; training is on the 9k or 7k list (1k-A: the 9k list where it is
there, else the official training videos). full: the official splits, with all captions of a test video as queries.

Published code trains on the 9k list, which contains the official validation videos, and chooses the epoch on the test
set. Here the epoch is chosen on the official validation split, so those videos are kept out of training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simvtp.data.corpora.annotations import Record, clean, read_json_file, read_rows, text_field, unique_ids
from simvtp.errors import DataError
from simvtp.runtime.cache_dir import say

TEST = "MSRVTT_JSFUSION_test.csv"
SPLITS = ("1k-A", "9k", "7k", "full")
TRAIN = {"1k-A": "MSRVTT_train.9k.csv", "9k": "MSRVTT_train.9k.csv", "7k": "MSRVTT_train.7k.csv"}
JSON_SPLITS = {"train": "train", "val": "validate", "test": "test"}


def read(root: Path, split: str, standard: str = "1k-A") -> tuple[list[Record], Path]:
    """Records of "train", "val" or "test" of a standard split, and the folder that their files count from."""
    if split == "test" and standard != "full":
        return read_gallery(root, root / TEST)
    path = root / "MSRVTT_data.json"
    content = read_json_file(path)
    split_of, captions = _videos(content, path), _sentences(content, path)
    ids = [video for video, name in split_of.items() if name == JSON_SPLITS[split]]
    if split == "train" and standard != "full":
        listed = root / TRAIN[standard]
        if standard != "1k-A" or listed.is_file():
            ids = _training_ids(root, listed, split_of)
    for video in ids:
        if video not in captions:
            raise DataError(f"{path}: the video {video!r} of split {split} has no sentence")
    return [Record(video, f"{video}.mp4", tuple(captions[video])) for video in ids], video_folder(root)


def _training_ids(root: Path, path: Path, split_of: dict[str, str]) -> list[str]:
    """A training list without validation videos; raises DataError where it holds a test video."""
    listed = [row["video_id"] for row in read_rows(path, ("video_id",))]
    if (root / TEST).is_file():
        tested = {row["video_id"] for row in read_rows(root / TEST, ("video_id",))}
        both = sorted(tested.intersection(listed))
        if both:
            raise DataError(f"{path}: {len(both)} videos are in the test list as well, such as {both[0]!r}")
    unknown = [video for video in listed if video not in split_of]
    if unknown:
        raise DataError(
            f"{path}: {len(unknown)} of its videos are not in MSRVTT_data.json, such as {unknown[0]!r}; the two files "
            "do not belong together"
        )
    kept = [video for video in dict.fromkeys(listed) if split_of[video] != "validate"]
    if len(kept) < len(set(listed)):
        count = len(set(listed)) - len(kept)
        say(f"msrvtt:{root}: {count} of the {len(set(listed))} videos in {path.name} are validation videos, on which "
            "the epoch is chosen; training leaves them out")  # fmt: skip
    return kept


def read_gallery(root: Path, path: Path) -> tuple[list[Record], Path]:
    """A test list, `key,vid_key,video_id,sentence`, separated by `,`, `;` or tabs."""
    rows = read_rows(path, ("video_id", "sentence"))
    records = (Record(row["video_id"], f"{row['video_id']}.mp4", (clean(row["sentence"]),)) for row in rows)
    return unique_ids(records, path), video_folder(root)


def video_folder(root: Path) -> Path:
    """videos/all, videos or the root itself: the first that is there."""
    return next((folder for folder in (root / "videos" / "all", root / "videos") if folder.is_dir()), root)


def _videos(content: Any, path: Path) -> dict[str, str]:
    split_of: dict[str, str] = {}
    for i, entry in enumerate(_entries(content, "videos", path)):
        where = f"{path}, videos[{i}]"
        video, split = text_field(entry, "video_id", where), text_field(entry, "split", where)
        if split_of.setdefault(video, split) != split:
            raise DataError(f"{where}: the video {video!r} is both in split {split_of[video]} and in split {split}")
    return split_of


def _sentences(content: Any, path: Path) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    for i, sentence in enumerate(_entries(content, "sentences", path)):
        where = f"{path}, sentences[{i}]"
        caption = clean(text_field(sentence, "caption", where))
        captions.setdefault(text_field(sentence, "video_id", where), []).append(caption)
    return captions


def _entries(content: Any, name: str, path: Path) -> list[Any]:
    entries = content.get(name) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise DataError(f"{path}: no list {name!r} at its top level; this is not MSR-VTT's MSRVTT_data.json")
    return entries
