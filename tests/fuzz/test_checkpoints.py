"""A short run of the fuzzer, and that it finds what it is to find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import checkpoints


@pytest.mark.slow
def test_damaged_checkpoints_are_read_or_refused() -> None:
    counts, wrong = checkpoints.fuzz(0, 60)
    assert wrong == {}
    assert counts.total() == 60
    assert all(counts[f"{target}: read"] for target in checkpoints.TARGETS)
    assert counts["model.init: refused"] > 5


def test_another_exception_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints.prepare(tmp_path)

    def broken(*_: object) -> None:
        raise KeyError("video")

    monkeypatch.setattr(checkpoints, "open_", broken)
    assert "KeyError: 'video'" in checkpoints.case(str(tmp_path), 0)[1]


@pytest.mark.parametrize(("target", "name"), [
    ("resume", "checkpoints/step-000000002.pt"), ("from_pretrained", "config.json"), ("model.init", "weights.pth"),
    ("model.init", "old.pth"),
])  # fmt: skip
def test_what_is_not_damaged_is_read(tmp_path: Path, target: str, name: str) -> None:
    checkpoints.prepare(tmp_path)
    folder = tmp_path / target.replace("model.init", "init")
    checkpoints.open_(target, folder, folder / name)
