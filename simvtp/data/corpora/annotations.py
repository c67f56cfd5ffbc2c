"""What the readers of annotation files share: rows and fields with names in the errors, and paths kept inside."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from simvtp.data.video.tar_members import file_on_disk
from simvtp.errors import DataError, nearest

DELIMITERS = ",;\t"


QUOTE = "a field with the separator, a quotation mark or a line break in it takes quotation marks around it"


@dataclass(frozen=True)
class Record:
    """A video as an annotation file lists it; `file` counts from the corpus's video folder."""

    video_id: str
    file: str
    captions: tuple[str, ...]


def read_header(path: Path, delimiters: str = DELIMITERS) -> tuple[list[str], str]:
    """The names in a table's first line, and the delimiter: the one that the line uses most; raises DataError."""
    with _open_text(path) as file:
        try:
            line = file.readline()
        except UnicodeDecodeError as error:
            raise _no_text(path) from error
    delimiter = max(delimiters, key=line.count)
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])], delimiter


def read_rows(path: Path, needed: Sequence[str], delimiters: str = DELIMITERS) -> list[dict[str, str]]:
    """Rows of a table with a header line, columns in any order; the delimiter is the one that the header uses.

    Raises DataError where the file, a needed column or a needed field is missing, a needed column is there twice, or a
    row has more fields than the header: a caption with the delimiter in it that is not quoted.
    """
    columns, delimiter = read_header(path, delimiters)
    for name in needed:
        if name not in columns:
            raise DataError(
                f"{path}: no column {name!r} in its first line, which has {', '.join(columns) or 'nothing'}"
                f"{nearest(name, columns)}"
            )
        if columns.count(name) > 1:
            raise DataError(f"{path}: the column {name!r} is there twice in its first line; rename or remove one")
    rows, line = list[dict[str, str]](), 1  # line: where a row begins
    with _open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for fields in reader:
                if line > 1 and fields:
                    rows.append(_row(columns, fields, needed, path, line))
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"{path}, the row that begins in line {line}: {error}; {QUOTE}") from error
        except UnicodeDecodeError as error:
            raise _no_text(path) from error
    return rows


def _row(columns: Sequence[str], fields: Sequence[str], needed: Sequence[str], path: Path, line: int) -> dict[str, str]:
    if len(fields) > len(columns) and any(field.strip() for field in fields[len(columns) :]):
        raise DataError(f"{path}, line {line}: {len(fields)} fields where the first line names {len(columns)}; {QUOTE}")
    row = dict(zip(columns, [field.strip() for field in fields], strict=False))
    for name in needed:
        if not row.get(name):
            raise DataError(f"{path}, line {line}: the field {name!r} is empty")
    return row


def _open_text(path: Path) -> Any:
    try:
        return path.open(newline="", encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error


def _no_text(path: Path) -> DataError:
    """An error that names the first line that is no UTF-8: the decoder tells a place in a block of many lines."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return DataError(f"{path}, line {number}: no UTF-8 text ({error}); save the file as UTF-8")
    return DataError(f"{path}: no UTF-8 text; save the file as UTF-8")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that hold something, without the ends of line; raises DataError that names the file."""
    try:
        with _open_text(path) as file:
            return [line.rstrip("\r\n") for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise _no_text(path) from error


def read_json_file(path: Path) -> Any:
    """Raises DataError that names the file where it is missing, no JSON, or a mapping has a key twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            raise DataError(f"{path}: the key {twice!r} is there twice, and only one of its values would be read")
        return found

    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=unique)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not whole JSON: {error}") from error


def text_field(entry: Any, name: str, where: str) -> str:
    """A non-empty text field of a JSON object, as text; raises DataError that says where."""
    value = entry.get(name) if isinstance(entry, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: the field {name!r} is missing, empty or no text")
    return value


def clean(caption: str) -> str:
    """A caption with its white space made plain, and without the half of a character that a cut JSON escape leaves."""
    return " ".join(caption.encode(errors="ignore").decode().split())


def inside(root: Path, file: str) -> Path:
    """root / file; raises DataError where that leads out of root."""
    pure = PurePath(file)
    if "\0" in file:
        raise DataError(
            f"{root}: the path {file!r} of an annotation holds a NUL byte; the file is damaged, or no UTF-8"
        )
    if pure.is_absolute() or ".." in pure.parts:
        raise DataError(f"{root}: the path {file!r} of an annotation leads outside this folder, which is refused")
    return root / pure


def existing(
    records: Sequence[Record], root: Path, *, strict: bool, corpus: str
) -> tuple[list[tuple[Record, Path]], list[Path]]:
    """Records whose file is there, and where the others should be; `strict`: raises DataError that names those."""
    paths = [inside(root, record.file) for record in records]
    names: dict[Path, set[str]] = {}
    files = [file_on_disk(path) for path in paths]
    for folder in {file.parent for file in files}:  # one listing a folder: millions of single look-ups are slow
        try:
            names[folder] = {entry.name for entry in folder.iterdir()}
        except OSError:
            names[folder] = set()
    there = [file.name in names[file.parent] for file in files]
    found = [pair for pair, here in zip(zip(records, paths, strict=True), there, strict=True) if here]
    missing = [root / record.file for record, here in zip(records, there, strict=True) if not here]
    if missing and strict:
        shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise DataError(
            f"{corpus}: {len(missing)} of {len(records)} videos are missing: {shown}. A gallery with holes gives "
            "figures that compare with nobody's, so all must be there; data.missing=miss counts them as not found"
        )
    return found, missing


def unique_ids(records: Iterable[Record], path: Path) -> list[Record]:
    """The records; raises DataError where two have one id."""
    seen: set[str] = set()
    kept = []
    for record in records:
        if record.video_id in seen:
            raise DataError(f"{path}: the video {record.video_id!r} is listed twice")
        seen.add(record.video_id)
        kept.append(record)
    return kept


ENDINGS = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".flv", ".3gp", ".3g2", ".mts", ".wmv")


def first_folder(root: Path, names: Sequence[str]) -> Path:
    """The first of the folders below root that is there, else root itself."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def clip_name(file: str) -> str:
    """A file name without a video's ending; clip ids of LSMDC hold dots of their own, which stay."""
    ending = file[file.rfind(".") :].lower() if "." in file else ""
    return file[: -len(ending)] if ending in ENDINGS else file


def with_files(clips: Iterable[tuple[str, str, tuple[str, ...]]], root: Path) -> list[Record]:
    """(video id, path with or without ending, captions) -> records that name the file which is there.

    A file of exactly that name is taken. People re-encode their copies, so else the ending is looked up; of several,
    the first in `ENDINGS` is taken. A clip without file is named as .mp4, for `existing` to count or report. Raises
    DataError where a path leads outside.
    """
    listings: dict[str, dict[str, str]] = {}
    records = []
    for video_id, place, captions in clips:
        folder, _, name = place.rpartition("/")
        inside(root, place)
        if folder not in listings:
            listings[folder] = _files_by_clip(root / folder)
        there, clip = listings[folder], clip_name(name)
        file = there.get(name) or there.get(clip) or f"{clip}.mp4"
        records.append(Record(video_id, f"{folder}/{file}" if folder else file, captions))
    return records


def _files_by_clip(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    names = [entry.name for entry in folder.iterdir()]
    files = [name for name in names if name.lower().endswith(ENDINGS)]
    files.sort(key=lambda file: ENDINGS.index(file[file.rfind(".") :].lower()), reverse=True)
    return {clip_name(file): file for file in files} | {name: name for name in names}
