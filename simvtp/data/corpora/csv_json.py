"""Any list of videos and captions: CSV or TSV with named columns, JSON, JSON lines, or parquet.

Columns or fields, in upper or lower case: video (or path, file, file_name, video_id, videoID, YoutubeID), caption (or
text, sentence, name), and split (train, val, test) where the list is more than a training set. Rows of one video are
its captions; a field may hold a list of them. JSON: {path: caption or captions}, or a list of objects; in a file named
.jsonl or .ndjson one object a line. Paths count from the list's folder, or are absolute; without ending, the file of
that name is looked up.

Options of the corpus's name, such as csv:train.csv?val=val.csv&root=/videos: video=NAME and caption=NAME name the
columns; start=NAME and end=NAME, or times=NAME for lists of [start, end], make each row, or pair, a clip of its video;
label=NAME names the column of classes that `simvtp.probe` predicts; root=DIR is the folder that paths count from;
train=FILE, val=FILE and test=FILE are lists of those splits alone. DIR and FILE count from the list's folder.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from simvtp.data.annotations.records import Captions, Record, clips_of_lists, field_of, quoted, span_of, text_field
from simvtp.data.annotations.text_files import read_header, read_json_file, read_json_lines, read_rows
from simvtp.data.annotations.video_files import resolve_endings, without_ending
from simvtp.data.corpora.spec import CorpusSpec
from simvtp.data.video.paths import Span, clip_path
from simvtp.errors import DataError, nearest
from simvtp.runtime.files import expanded

log = logging.getLogger(__name__)

VIDEO = ("video", "path", "file", "file_name", "video_id", "videoid", "youtubeid")
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
_TIMES = ("start", "end", "start_time", "end_time", "start_timestamp", "end_timestamp", "timestamp")


@dataclass(frozen=True)
class Columns:
    """Names of columns or fields; start, end, times and label are empty if the list is read without them."""

    video: str
    caption: str
    start: str = ""
    end: str = ""
    times: str = ""
    label: str = ""


@dataclass(frozen=True)
class Entry:
    """A video or clip of a list. split: as listed, or empty; captions: one or a list; where: in which file and row."""

    split: str
    video: str
    captions: Any
    where: str
    span: Span | None = None
    label: str = ""


def read_table(spec: CorpusSpec, split: str) -> tuple[list[Record], Path]:
    """Records of a CSV or TSV, and the folder that their files count from."""
    path = _file(spec, split)
    columns = _columns(spec.options, read_header(path)[0], path)
    named = [name for name in dataclasses.astuple(columns) if name]
    rows = read_rows(path, named, may_be_empty=(columns.caption, columns.label))
    return _records(_entries(rows, columns, f"{path}, row"), spec, split, path)


def read_parquet(spec: CorpusSpec, split: str) -> tuple[list[Record], Path]:
    """Records of a parquet file, and the folder that their files count from; raises DataError without pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            f"{spec}: parquet files take the library pyarrow, which is not installed: pip install 'simvtp[parquet]'"
        ) from error
    path = _file(spec, split)
    try:
        names = pyarrow.parquet.read_schema(path).names
        columns = _columns(spec.options, names, path)
        wanted = {*dataclasses.astuple(columns), "split"}
        rows = pyarrow.parquet.read_table(path, columns=[name for name in names if name in wanted]).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet ({error})") from error
    return _records(_entries(rows, columns, f"{path}, row"), spec, split, path)


def read_json(spec: CorpusSpec, split: str) -> tuple[list[Record], Path]:
    """Records of a JSON or JSON-lines file, and the folder that their files count from."""
    path = _file(spec, split)
    content = read_json_lines(path) if path.suffix in (".jsonl", ".ndjson") else read_json_file(path)
    if isinstance(content, dict):
        entries = _of_mapping(content, spec.options, path)
    elif isinstance(content, list):
        names = list(content[0]) if content and isinstance(content[0], dict) else []
        entries = _entries(content, _columns(spec.options, names, path), f"{path}, entry")
    else:
        raise DataError(f'{path}: neither {{path: caption}} nor [{{"video": ..., "caption": ...}}]')
    return _records(entries, spec, split, path)


def _of_mapping(content: Mapping[str, Any], options: Mapping[str, str], path: Path) -> Iterator[Entry]:
    """{path: caption or captions}; or, as HowTo100M, {path: {"start": [...], "end": [...], "text": [...]}}: clips."""
    for video, value in content.items():
        where = f"{path}, {quoted(video)}"
        if not isinstance(value, dict):
            yield Entry("", str(PurePath(video)), value, where)
            continue
        columns = _columns({"start": "start", "end": "end", **options, "video": "video"}, ["video", *value], path)
        starts, ends, texts = (field_of(value, name, where) for name in (columns.start, columns.end, columns.caption))
        if not isinstance(starts, list) or not isinstance(ends, list) or len(starts) != len(ends):
            raise DataError(f"{where}: {columns.start!r} and {columns.end!r} are not lists of one length")
        for span, text in clips_of_lists(list(zip(starts, ends, strict=True)), texts, where):
            yield Entry("", str(PurePath(video)), text, where, span)


def _entries(rows: Sequence[Any], columns: Columns, where: str) -> Iterator[Entry]:
    """Of rows or objects. where: the file and what its parts are called."""
    for i, row in enumerate(rows):
        place = f"{where} {i}"
        video = str(PurePath(text_field(row, columns.video, place)))
        captions = field_of(row, columns.caption, place)
        label = " ".join(str(row.get(columns.label) or "").split()) if columns.label else ""
        entry = Entry(str(row.get("split") or "").strip(), video, captions, place, label=label)
        if columns.times:
            for span, text in clips_of_lists(field_of(row, columns.times, place), captions, place):
                yield dataclasses.replace(entry, captions=text, span=span)
        elif columns.start:
            start, end = (field_of(row, name, place) for name in (columns.start, columns.end))
            yield dataclasses.replace(entry, span=span_of(start, end, place))
        else:
            yield entry


def _file(spec: CorpusSpec, split: str) -> Path:
    """The file that lists a split."""
    path = spec.existing_path()
    return path.parent / expanded(spec.options[split]) if split in spec.options else path


def _columns(options: Mapping[str, str], names: Sequence[str], path: Path) -> Columns:
    """Which columns are read; raises DataError if one is not there."""
    lower = {str(name).lower(): name for name in reversed(names)}
    found = {}
    for option, usual in {"video": VIDEO, "caption": CAPTION, "start": (), "end": (), "times": (), "label": ()}.items():
        wanted = (options[option],) if option in options else usual
        there = [name for name in wanted if name in names] or [lower[name] for name in wanted if name in lower]
        if wanted and not there:
            shown = ", ".join(map(str, names))[:300]
            raise DataError(
                f"{path}: no column named {' or '.join(wanted)} (it has {shown or 'none'})"
                f"{nearest(wanted[0], names)}; ?{option}=NAME behind the corpus's name names it"
            )
        found[option] = there[0] if wanted else ""
    if bool(found["start"]) != bool(found["end"]) or (found["start"] and found["times"]):
        raise DataError(f"{path}: clips take ?start=NAME&end=NAME, both, or ?times=NAME alone")
    unread = [str(lower[name]) for name in _TIMES if name in lower and not found["start"] and not found["times"]]
    if unread:
        log.warning("%s: whole videos are read, not clips by %s; for these add ?start=NAME&end=NAME or ?times=NAME",
                    path, ", ".join(unread))  # fmt: skip
    return Columns(**found)


def _records(entries: Iterable[Entry], spec: CorpusSpec, split: str, path: Path) -> tuple[list[Record], Path]:
    """Records of one split, and their folder; raises DataError if a video is in two splits, or the split is empty.

    A file that is named for the split holds nothing else; in a common one, a video without split is for training.
    """
    split_of: dict[str, str] = {}
    chosen: dict[str, Entry] = {}
    captions = Captions(path)
    for entry in entries:
        key = clip_path(entry.video, entry.span) if entry.span else entry.video
        name = split if split in spec.options else _ALIASES.get(entry.split, entry.split) or "train"
        if split_of.setdefault(key, name) != name:
            both = f"{quoted(split_of[key])} and in split {quoted(name)}"
            raise DataError(f"{path}: the video {quoted(key)} is both in split {both}")
        if name != split:
            continue
        if chosen.setdefault(key, entry).label != entry.label:
            raise DataError(f"{entry.where}: the video {quoted(key)} has another label here, {quoted(entry.label)}")
        texts = entry.captions
        for text in texts if isinstance(texts, list) and texts else [texts]:
            captions.add(key, text, entry.where)
    texts_of = captions.by_video()
    if not texts_of:
        there = ", ".join(sorted(set(split_of.values()))) or "no videos"
        raise DataError(
            f"{path}: nothing in split {split!r}; there is {there[:200]} (column or field `split`: "
            f"{', '.join(SPLITS)}; or a file of its own, ?{split}=FILE)"
        )
    root = path.parent / expanded(spec.options["root"]) if "root" in spec.options else spec.folder
    return _located([(chosen[key], texts) for key, texts in texts_of.items()], root)


def _located(entries: Sequence[tuple[Entry, tuple[str, ...]]], root: Path) -> tuple[list[Record], Path]:
    """Records of entries with their captions, and the folder that their files count from.

    Files without ending get that of the one on the disk. Where some lie outside `root`, the folder is the disk's root.
    """
    below = [_is_below(entry.video) for entry, _ in entries]
    files = [entry.video for entry, _ in entries]
    if not all(below):
        files = [os.path.abspath(root / file).lstrip("/") for file in files]  # noqa: PTH100  (`resolve` follows links)
        root = Path("/")
    bare = {file for file in files if without_ending(file) == file}
    ended = {found.video_id: found.file for found in resolve_endings(((file, file, ()) for file in bare), root)}
    records = []
    for (entry, texts), file, is_below in zip(entries, files, below, strict=True):
        identity, place = entry.video if is_below else file, ended.get(file, file)
        if entry.span:
            identity, place = clip_path(identity, entry.span), clip_path(place, entry.span)
        records.append(Record(identity, place, texts, entry.label))
    return records, root


def _is_below(video: str) -> bool:
    pure = PurePath(video)
    return not pure.is_absolute() and ".." not in pure.parts
