from __future__ import annotations

import os
import signal

import pytest

from simvtp.errors import DataError
from simvtp.runtime.worker_pool import each


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
    with pytest.raises(RuntimeError, match=r"a worker of .*test_worker_pool died, exit code -9"):
        list(each(dies, None, range(100), "dying"))
