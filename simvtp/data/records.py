"""What the readers of annotation files share: rows and fields with names in the errors, and paths kept inside."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from simvtp.data.errors import DataError
from simvtp.data.members import file_of
from simvtp.validation import nearest

DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Record:
    """A video as an annotation file lists it; `file` counts from the corpus's video folder."""

    video_id: str
    file: str
    captions: tuple[str, ...]


def read_rows(path: Path, needed: Sequence[str], delimiters: str = DELIMITERS) -> list[dict[str, str]]:
    """Rows of a table with a header line, columns in any order; the delimiter is the one that the header uses.

    Raises DataError where the file, a needed column or a needed field is missing.
    """
    with _open_text(path) as file:
        try:
            header = file.readline()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}, line 1: no UTF-8 text ({error})") from error
        delimiter = max(delimiters, key=header.count)
        file.seek(0)
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        try:
            columns = [column.strip() for column in reader.fieldnames or ()]
            for name in needed:
                if name not in columns:
                    raise DataError(
                        f"{path}: no column {name!r} in its first line, which has {', '.join(columns) or 'nothing'}"
                        f"{nearest(name, columns)}"
                    )
            reader.fieldnames = columns
            rows = list(reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}") from error
    for number, row in enumerate(rows, start=2):
        for name in needed:
            if not (row[name] or "").strip():
                raise DataError(f"{path}, row {number}: the field {name!r} is empty")
    return rows


def _open_text(path: Path) -> Any:
    try:
        return path.open(newline="", encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that hold something, without the ends of line; raises DataError that names the file."""
    try:
        with _open_text(path) as file:
            return [line.rstrip("\r\n") for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: no UTF-8 text ({error})") from error


def read_json_file(path: Path) -> Any:
    """Raises DataError that names the file where it is missing or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    except ValueError as error:
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
    """A caption with its white space made plain."""
    return " ".join(caption.split())


def inside(root: Path, file: str) -> Path:
    """root / file; raises DataError where that leads out of root."""
    pure = PurePath(file)
    if pure.is_absolute() or ".." in pure.parts or "\0" in file:
        raise DataError(f"{root}: the path {file!r} of an annotation leads outside this folder, which is refused")
    return root / pure


def existing(
    records: Sequence[Record], root: Path, *, strict: bool, corpus: str
) -> tuple[list[tuple[Record, Path]], int]:
    """Records whose file is there, and how many are not; `strict`: raises DataError that names those."""
    paths = [inside(root, record.file) for record in records]
    names: dict[Path, set[str]] = {}
    files = [file_of(path) for path in paths]
    for folder in {file.parent for file in files}:  # one listing a folder: millions of single look-ups are slow
        try:
            names[folder] = {entry.name for entry in folder.iterdir()}
        except OSError:
            names[folder] = set()
    there = [file.name in names[file.parent] for file in files]
    found = [pair for pair, here in zip(zip(records, paths, strict=True), there, strict=True) if here]
    missing = len(records) - len(found)
    if missing and strict:
        lost = [record for record, here in zip(records, there, strict=True) if not here]
        shown = ", ".join(str(root / record.file) for record in lost[:5]) + (", ..." if missing > 5 else "")
        raise DataError(
            f"{corpus}: {missing} of {len(records)} videos are missing: {shown}. A gallery with holes gives figures "
            "that compare with nobody's, so all of them must be there; data.missing=miss counts them as not found"
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
