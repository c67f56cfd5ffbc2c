"""Any list of videos and captions: a CSV or TSV with named columns, or JSON. Paths count from the file's folder.

Columns: video (or path, file), caption (or text, sentence, name), and split (train, val, test) where it is more than
a training set. Rows of one video are its captions.
JSON: {path: caption}, or [{"video": path, "caption": text or list of texts, "split": ...}].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any

from simvtp.data.corpora.annotations import Record, clean, read_header, read_json_file, read_rows, text_field
from simvtp.errors import DataError

VIDEO = ("video", "path", "file")
CAPTION = ("caption", "text", "sentence", "name")


def read_table(path: Path, split: str) -> tuple[list[Record], Path]:
    """Records of a CSV or TSV, and its folder."""
    columns, _ = read_header(path)
    video, caption = (_column(names, columns, path) for names in (VIDEO, CAPTION))
    rows = read_rows(path, (video, caption))
    entries = [(row.get("split") or "train", row[video], [row[caption]]) for row in rows]
    return _records(entries, split, path), path.parent


def _column(names: Sequence[str], columns: Sequence[str], path: Path) -> str:
    found = [name for name in names if name in columns]
    if not found:
        raise DataError(f"{path}: no column named {' or '.join(names)} in its first line ({', '.join(columns)})")
    return found[0]


def read_json(path: Path, split: str) -> tuple[list[Record], Path]:
    """Records of a JSON file, and its folder."""
    content = read_json_file(path)
    if isinstance(content, dict):
        content = [{"video": video, "caption": caption} for video, caption in content.items()]
    if not isinstance(content, list):
        raise DataError(f'{path}: neither {{path: caption}} nor [{{"video": ..., "caption": ...}}]')
    entries = []
    for i, entry in enumerate(content):
        where = f"{path}, entry {i}"
        video = text_field(entry, "video", where)
        entries.append((str(entry.get("split") or "train").strip(), video, _captions(entry, where)))
    return _records(entries, split, path), path.parent


def _captions(entry: dict[str, Any], where: str) -> list[str]:
    if isinstance(entry.get("caption"), list) and entry["caption"]:
        return [text_field({"caption": caption}, "caption", where) for caption in entry["caption"]]
    return [text_field(entry, "caption", where)]


def _records(entries: Iterable[tuple[str, str, Sequence[str]]], split: str, path: Path) -> list[Record]:
    """Records of one split of (split, video, captions); raises DataError where a video is in two splits."""
    split_of: dict[str, str] = {}
    captions: dict[str, list[str]] = {}
    for name, file, texts in entries:
        video = str(PurePath(file))
        if split_of.setdefault(video, name) != name:
            raise DataError(f"{path}: the video {video!r} is both in split {split_of[video]} and in split {name}")
        if name == split:
            captions.setdefault(video, []).extend(clean(text) for text in texts)
    if not captions:
        there = ", ".join(sorted(set(split_of.values()))) or "no videos"
        raise DataError(
            f"{path}: nothing in split {split!r}; there is {there} (column or field `split`: train, val, test)"
        )
    return [Record(video, video, tuple(texts)) for video, texts in captions.items()]
