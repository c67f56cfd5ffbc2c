"""JSON as it is written: lists of numbers on one line, valid, the same every time."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simvtp.errors import ConfigError
from simvtp.runtime.cache_dir import cache_folder
from simvtp.runtime.files import folder_to_make, json_objects, read_json, write_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.sampled_from(["[\n1,\n2\n]", '["', "[1, 2]", "[\\n"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


def test_lists_of_numbers_stand_on_one_line(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ranks": [1, 2.5, -3], "rows": [[1, 2], [3]], "names": ["a", "b"], "none": []})
    assert (tmp_path / "a.json").read_text().splitlines() == [
        "{", ' "ranks": [1, 2.5, -3],', ' "rows": [', "  [1, 2],", "  [3]", " ],",
        ' "names": [', '  "a",', '  "b"', " ],", ' "none": []', "}",
    ]  # fmt: skip


@given(VALUES)
def test_any_value_comes_back(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    text = path.read_text()
    assert json.loads(text) == read_json(path) == value
    write_json(path, value)
    assert path.read_text() == text


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_what_json_has_not_is_refused(tmp_path: Path, number: float) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "r.json", {"R@1": [number]})
    assert not list(tmp_path.iterdir())


def test_the_home_of_nobody_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder_to_make("~/x", "SIMVTP_CACHE") == tmp_path / "x"
    assert folder_to_make("a~$b", "SIMVTP_CACHE") == Path("a~$b")
    monkeypatch.setenv("SIMVTP_CACHE", "~no-such-user/x")
    with pytest.raises(ConfigError, match="SIMVTP_CACHE: '~no-such-user/x' begins with a home folder"):
        cache_folder()


def test_lines_that_are_no_objects_are_left_out() -> None:
    lines = b'{"a": 1}\n[]\nnull\n5\n' + b"[" * 100_000 + b'\n{"b": "\xe2\x80\xa8"}\n\xff\n{"c"'
    assert json_objects(lines) == [{"a": 1}, {"b": "\u2028"}]
