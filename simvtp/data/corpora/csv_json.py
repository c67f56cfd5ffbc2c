"""Any list of videos and captions: CSV or TSV with named columns, JSON, or JSON lines.

Columns or fields: video (or path, file, file_name), caption (or text, sentence, name), and split (train, val, test)
where the list is more than a training set. Rows of one video are its captions; a field may hold a list of them.
JSON: {path: caption or captions}, or a list of objects; in a file named .jsonl or .ndjson one object a line.
Paths count from the list's folder, or are absolute.

Options of the corpus's name, such as csv:train.csv?val=val.csv&root=/videos: video=NAME and caption=NAME name the
columns; root=DIR is the folder that paths count from; train=FILE, val=FILE and test=FILE are lists of those splits
alone. DIR and FILE count from the list's folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from simvtp.data.annotations.records import Captions, Record, field_of, quoted, text_field
from simvtp.data.annotations.text_files import read_header, read_json_file, read_json_lines, read_rows
from simvtp.data.corpora.spec import CorpusSpec
from simvtp.errors import DataError, nearest
from simvtp.runtime.files import expanded

VIDEO = ("video", "path", "file", "file_name")
CAPTION = ("caption", "text", "sentence", "name")
SPLITS = ("train", "val", "test")
_ALIASES = {
    "training": "train",
    "validation": "val",
    "valid": "val",
    "validate": "val",
    "dev": "val",
    "testing": "test",
}

Entry = tuple[str, str, Any, str]  # split or nothing, video, caption or captions, where in the file


def read_table(spec: CorpusSpec, split: str) -> tuple[list[Record], Path]:
    """Records of a CSV or TSV, and the folder that their files count from."""
    path = _file(spec, split)
    columns, _ = read_header(path)
    video, caption = _columns(spec.options, columns, path)
    rows = read_rows(path, (video, caption), may_be_empty=(caption,))
    entries = ((row.get("split", ""), row[video], row[caption], f"{path}, row {i}") for i, row in enumerate(rows))
    return _records(entries, spec, split, path)


def read_json(spec: CorpusSpec, split: str) -> tuple[list[Record], Path]:
    """Records of a JSON or JSON-lines file, and the folder that their files count from."""
    path = _file(spec, split)
    content = read_json_lines(path) if path.suffix in (".jsonl", ".ndjson") else read_json_file(path)
    if isinstance(content, dict):
        entries: Iterable[Entry] = (
            ("", video, caption, f"{path}, {quoted(video)}") for video, caption in content.items()
        )
    elif isinstance(content, list):
        entries = _objects(content, spec, path)
    else:
        raise DataError(f'{path}: neither {{path: caption}} nor [{{"video": ..., "caption": ...}}]')
    return _records(entries, spec, split, path)


def _objects(content: Sequence[Any], spec: CorpusSpec, path: Path) -> Iterator[Entry]:
    names = list(content[0]) if content and isinstance(content[0], dict) else []
    video, caption = _columns(spec.options, names, path)
    for i, entry in enumerate(content):
        where = f"{path}, entry {i}"
        name = text_field(entry, video, where)
        yield str(entry.get("split") or "").strip(), name, field_of(entry, caption, where), where


def _file(spec: CorpusSpec, split: str) -> Path:
    """The file that lists a split."""
    path = spec.existing_path()
    return path.parent / expanded(spec.options[split]) if split in spec.options else path


def _columns(options: Mapping[str, str], columns: Sequence[str], path: Path) -> tuple[str, str]:
    """The names of the columns of videos and captions; raises DataError where there is none."""
    found = []
    for option, names in (("video", VIDEO), ("caption", CAPTION)):
        wanted = (options[option],) if option in options else names
        there = [name for name in wanted if name in columns]
        if not there:
            shown = ", ".join(map(str, columns))[:300]
            raise DataError(
                f"{path}: no column named {' or '.join(wanted)} (it has {shown or 'none'})"
                f"{nearest(wanted[0], columns)}; ?{option}=NAME behind the corpus's name names it"
            )
        found.append(there[0])
    return found[0], found[1]


def _records(entries: Iterable[Entry], spec: CorpusSpec, split: str, path: Path) -> tuple[list[Record], Path]:
    """Records of one split, and their folder; raises DataError where a video is in two splits, or the split is empty.

    A file that is named for the split holds nothing else; in a common one, a video without split is for training.
    """
    own_file = split in spec.options
    split_of: dict[str, str] = {}
    captions = Captions(path)
    for listed, file, texts, where in entries:
        video = str(PurePath(file))
        name = split if own_file else _ALIASES.get(listed, listed) or "train"
        if split_of.setdefault(video, name) != name:
            both = f"{quoted(split_of[video])} and in split {quoted(name)}"
            raise DataError(f"{path}: the video {quoted(video)} is both in split {both}")
        if name == split:
            for text in texts if isinstance(texts, list) and texts else [texts]:
                captions.add(video, text, where)
    videos = captions.by_video()
    if not videos:
        there = ", ".join(sorted(set(split_of.values()))) or "no videos"
        raise DataError(
            f"{path}: nothing in split {split!r}; there is {there[:200]} (column or field `split`: "
            f"{', '.join(SPLITS)}; or a file of its own, ?{split}=FILE)"
        )
    root = path.parent / expanded(spec.options["root"]) if "root" in spec.options else spec.folder
    if all(_is_below(video) for video in videos):
        return [Record(video, video, texts) for video, texts in videos.items()], root
    records = []
    for video, texts in videos.items():  # some lie elsewhere: all are named from the root of the disk
        place = os.path.abspath(root / video).lstrip("/")  # noqa: PTH100  (`resolve` would follow links)
        records.append(Record(video if _is_below(video) else place, place, texts))
    return records, Path("/")


def _is_below(video: str) -> bool:
    pure = PurePath(video)
    return not pure.is_absolute() and ".." not in pure.parts
