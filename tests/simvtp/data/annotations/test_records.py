"""Annotation files as people have them: what is read of them, and which line is named where they are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simvtp.data.annotations.text_files import read_json_file, read_rows
from simvtp.data.corpora.registry import load
from simvtp.errors import DataError

NEEDED = ("video", "caption")


def rows(folder: Path, content: bytes) -> list[dict[str, str]]:
    (folder / "t.csv").write_bytes(content)
    return read_rows(folder / "t.csv", NEEDED)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"video,caption\na,x\nb,y\n", [("a", "x"), ("b", "y")]),
        (b"caption;video\r\n\r\nx, 1;a\r\n", [("a", "x, 1")]),
        (b"caption\tvideo\rx\ta", [("a", "x")]),
        (b'\xef\xbb\xbf"video", caption , more\n a ,x,\n', [("a", "x")]),
        (b'video,caption\na,"x ""y""\nz"\nb,he says "no" twice\n', [("a", 'x "y"\nz'), ("b", 'he says "no" twice')]),
        (b"video,caption\na,x,,\n", [("a", "x")]),
    ],
)
def test_tables(tmp_path: Path, content: bytes, expected: list[tuple[str, str]]):
    assert [(row["video"], row["caption"]) for row in rows(tmp_path, content)] == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"video,caption\na,a man, a dog\n",
            r"t.csv, line 2: 3 fields where the first line names 2; .*quotation marks",
        ),
        (b'video,caption\n\na,"x\ny"\nb\n', r"t.csv, line 5: the field 'caption' is empty"),
        (b'video,caption\na,x\nb,"y\nc,z\n', r"t.csv, the row that begins in line 3: unexpected end of data; a field"),
        (b'video,caption\na,x\nb,"y" z\n', r"t.csv, the row that begins in line 3: ',' expected"),
        (b'video,caption\na,x\nb,"' + b"y" * 200_000 + b'"\n', r"t.csv, the row that begins in line 3: field larger"),
        (b"video,caption,caption\na,x,y\n", r"t.csv: the column 'caption' is there twice"),
        (
            b"video,caption\n" + b"a,x\n" * 9000 + b"a,caf\xe9\n",
            r"t.csv, line 9002: no UTF-8 text .*save the file as UTF-8",
        ),
        ("video,caption\na,x\n".encode("utf-16"), r"t.csv, line 1: no UTF-8 text .*; save the file as UTF-8"),
        (b"video," + b"c" * 200_000 + b"\na,x\n", r"t.csv, line 1: field larger than field limit"),
        (b"", r"t.csv: no column 'video' in its first line, which has nothing"),
    ],
)
def test_a_wrong_table_is_named_with_its_line(tmp_path: Path, content: bytes, message: str):
    with pytest.raises(DataError, match=message):
        rows(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a.mp4": "x", "b.mp4": "y", "a.mp4": "z"}', r"t.json: the key 'a.mp4' is there twice"),
        ("[" * 100_000, r"t.json is not whole JSON"),
        ('{"a.mp4": "x"', r"t.json is not whole JSON"),
        ('{"a.mp4": 1' + "0" * 5000 + "}", r"t.json is not whole JSON"),
    ],
)
def test_a_wrong_json_file_is_named(tmp_path: Path, content: str, message: str):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_json_file(tmp_path / "t.json")


def test_half_a_character_is_left_out_and_no_split_is_training(tmp_path: Path):
    (tmp_path / "a.mp4").touch()
    entry = {"video": "a.mp4", "caption": "a dog \ud83d runs \U0001f415", "split": None}
    (tmp_path / "t.json").write_text(json.dumps([entry]))
    (sample,) = load(f"json:{tmp_path}/t.json", "train").samples
    assert sample.captions == ("a dog runs \U0001f415",)


def test_a_path_with_a_nul_byte_is_refused(tmp_path: Path):
    (tmp_path / "t.csv").write_bytes(b"video,caption\na.mp4\0,x\n")
    with pytest.raises(DataError, match=r"the path 'a.mp4\\x00' of an annotation holds a NUL byte"):
        load(f"csv:{tmp_path}/t.csv", "train")
