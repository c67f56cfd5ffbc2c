"""Hanging and crashing readers cost one item each, and the rest is done."""

import sys
import time
from pathlib import Path

import pytest

from simvtp.runtime.guarded_pool import Lost, each_guarded

HERE = str(Path(__file__).parent)


def length(shared: int, item: str) -> int:
    return shared + len(item)


def test_what_hangs_or_crashes_is_lost_and_the_rest_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)
    from slow_readers import misbehave  # type: ignore[import-not-found]

    items = ["one", "hangs", "crashes", *("x" * n for n in range(1, 12))]
    began = time.monotonic()
    found = dict(each_guarded(misbehave, 100, items, title="test", seconds=1.5, workers=2))
    assert time.monotonic() - began < 20
    assert found.pop("hangs") == Lost("not read within 1.5 s")
    assert found.pop("crashes") == Lost("the process that read it ended (exit code -11)")
    assert found == {item: 100 + len(item) for item in items if item not in ("hangs", "crashes")}


def test_a_worker_that_cannot_start_is_nobodys_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(length, "__module__", "no_such_module")
    with pytest.raises(RuntimeError, match="a worker for no_such_module does not start"):
        list(each_guarded(length, 0, ["a"], title="test", seconds=5))
    assert "no_such_module" not in sys.modules
