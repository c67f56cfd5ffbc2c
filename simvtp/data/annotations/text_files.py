"""Readers of text, CSV, JSON and JSON-lines files; errors are DataError that names the file and line.

Lines end at a newline (LF, CR or CR LF) and nowhere else: captions and words may hold other separators of Unicode,
such as U+2028, at which `str.splitlines` cuts.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TextIO

from simvtp.data.annotations.records import quoted
from simvtp.errors import DataError, nearest

DELIMITERS = ",;\t"
_QUOTE = "a field with the separator, a quotation mark or a line break in it takes quotation marks around it"


def read_header(path: Path, delimiters: str = DELIMITERS) -> tuple[list[str], str]:
    """The names in a table's first line, and the delimiter: the one that the line uses most; raises DataError."""
    with _open_text(path) as file:
        try:
            line = file.readline()
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error
    delimiter = max(delimiters, key=line.count)
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])], delimiter
    except csv.Error as error:
        raise DataError(f"{path}, line 1: {error}; the first line of a table names its columns") from error


def read_rows(
    path: Path, needed: Sequence[str], *, may_be_empty: Collection[str] = (), delimiters: str = DELIMITERS
) -> list[dict[str, str]]:
    """Rows of a table with a header line, columns in any order; the delimiter is the one that the header uses.

    needed: columns that must be there; may_be_empty: those of them whose fields may hold nothing. Raises DataError
    where the file, a needed column or a needed field is missing, a needed column is there twice, or a row has more
    fields than the header: a caption with the delimiter in it that is not quoted.
    """
    columns, delimiter = read_header(path, delimiters)
    for name in needed:
        if name not in columns:
            raise DataError(
                f"{path}: no column {name!r} in its first line, which has {', '.join(columns)[:300] or 'nothing'}"
                f"{nearest(name, columns)}"
            )
        if columns.count(name) > 1:
            raise DataError(f"{path}: the column {name!r} is there twice in its first line; rename or remove one")
    filled = [name for name in needed if name not in may_be_empty]
    rows, line = list[dict[str, str]](), 1  # line: where a row begins
    with _open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for fields in reader:
                if line > 1 and fields:
                    rows.append(_row(columns, fields, filled, path, line))
                line = reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"{path}, the row that begins in line {line}: {error}; {_QUOTE}") from error
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error
    return rows


def _row(columns: Sequence[str], fields: Sequence[str], filled: Sequence[str], path: Path, line: int) -> dict[str, str]:
    if len(fields) > len(columns) and any(field.strip() for field in fields[len(columns) :]):
        raise DataError(
            f"{path}, line {line}: {len(fields)} fields where the first line names {len(columns)}; {_QUOTE}"
        )
    row = dict.fromkeys(columns, "") | dict(zip(columns, [field.strip() for field in fields], strict=False))
    for name in filled:
        if not row[name]:
            raise DataError(f"{path}, line {line}: the field {name!r} is empty")
    return row


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that hold something, without the ends of line; raises DataError that names the file."""
    try:
        with _open_text(path) as file:
            return [line.rstrip("\r\n") for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error


def read_json_file(path: Path) -> Any:
    """The value of a JSON file; raises DataError if it is missing, no JSON, or a mapping has a key twice."""
    try:
        with _open_text(path) as file:
            return _parsed(file.read(), f"{path}")
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error


def read_json_lines(path: Path) -> list[Any]:
    """The value of each line of a JSON-lines file; raises DataError that names the file and line."""
    lines = read_lines(path)
    return [_parsed(line, f"{path}, line {number} of those with text") for number, line in enumerate(lines, start=1)]


def _parsed(text: str, where: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            raise DataError(
                f"{where}: the key {quoted(twice)} is there twice, and only one of its values would be read"
            )
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is not whole JSON: {error}") from error


def _open_text(path: Path) -> TextIO:
    try:
        return path.open(newline="", encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise DataError(f"{str(path)!r} cannot be read ({error})") from error


def _not_utf8(path: Path) -> DataError:
    """An error that names the first line that is no UTF-8: the decoder gives a position in a block of lines."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return DataError(f"{path}, line {number}: no UTF-8 text ({error}); save the file as UTF-8")
    return DataError(f"{path}: no UTF-8 text; save the file as UTF-8")
