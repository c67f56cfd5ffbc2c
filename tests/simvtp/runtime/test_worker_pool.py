"""Every item is answered once; what hangs or crashes costs itself, and the rest is done."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from simvtp.errors import DataError
from simvtp.runtime.worker_pool import Failure, each


def scaled(factor: int, item: int) -> int:
    return factor * item


def picky(_: None, item: int) -> int:
    if item == 30:
        raise DataError("item 30 is broken")
    return item


def dies(_: None, item: int) -> int:
    if item == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_every_item_once():
    assert sorted(each(scaled, 3, range(100), "scaling")) == [(i, 3 * i) for i in range(100)]
    assert list(each(scaled, 3, [], "nothing")) == []


def test_bad_input_comes_out_as_it_is():
    with pytest.raises(DataError, match=r"^item 30 is broken$"):
        list(each(picky, None, range(100), "picking"))


def test_a_killed_worker_is_an_error_and_no_hang():
    with pytest.raises(RuntimeError, match=r"a worker of .*test_worker_pool: .*exit code -9"):
        list(each(dies, None, range(100), "dying"))


def test_what_hangs_or_crashes_is_a_failure_and_the_rest_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from slow_readers import misbehave  # type: ignore[import-not-found]

    items = ["one", "hangs", "crashes", *("x" * n for n in range(1, 12))]
    began = time.monotonic()
    actual = dict(each(misbehave, 100, items, title="test", seconds=1.5, workers=2))
    assert time.monotonic() - began < 20
    assert actual.pop("hangs") == Failure("not read within 1.5 s")
    assert actual.pop("crashes") == Failure("the process that read it ended (exit code -11)")
    assert actual == {item: 100 + len(item) for item in items if item not in ("hangs", "crashes")}


def test_a_worker_that_cannot_start_is_nobodys_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaled, "__module__", "no_such_module")
    with pytest.raises(RuntimeError, match="a worker for no_such_module does not start"):
        list(each(scaled, 0, [1], title="test", seconds=5))
    assert "no_such_module" not in sys.modules
