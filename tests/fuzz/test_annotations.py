"""A short run of the fuzzer, and that it finds what it is to find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import annotations


def test_damaged_annotations_are_read_or_refused():
    counts, wrong = annotations.fuzz(0, 100)
    assert wrong == {}
    assert counts["read"] > 10
    assert counts["refused"] > 10


def test_another_exception_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object, **__: object) -> None:
        raise KeyError("video")

    monkeypatch.setattr(annotations, "load", broken)
    monkeypatch.setattr(annotations, "CORPORA", (annotations._csv,))
    assert "KeyError: 'video'" in annotations.case(0, tmp_path)


@pytest.mark.parametrize("make", annotations.CORPORA)
def test_the_corpora_are_read_where_nothing_is_damaged(tmp_path: Path, make):
    name = make(tmp_path)
    if name != "prepared":
        assert annotations.load(name, "train").samples
