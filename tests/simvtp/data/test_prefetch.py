from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable

import pytest

from simvtp.data.prefetch import prefetch
from simvtp.errors import DataError


def until(true: Callable[[], bool]) -> bool:
    """Whether it comes true within ten seconds."""
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_all_come_once_in_their_order(workers: int):
    assert list(prefetch(lambda number: number * number, range(3, 23), workers)) == [n * n for n in range(3, 23)]
    assert list(prefetch(lambda number: number, range(0), workers)) == []


def test_one_more_is_made_than_was_asked_for_and_no_more():
    begun: list[int] = []

    def make(number: int) -> int:
        begun.append(number)
        return number

    made = prefetch(make, range(100), 0)
    assert next(made) == 0
    assert until(lambda: begun == [0, 1])
    time.sleep(0.05)
    assert begun == [0, 1]
    assert next(made) == 1
    assert until(lambda: begun == [0, 1, 2])
    made.close()
    assert begun == [0, 1, 2]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_in_its_place(workers: int):
    def make(number: int) -> int:
        if number == 4:
            raise DataError("four")
        return number

    made = prefetch(make, range(10), workers)
    assert [next(made) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(DataError, match=r"^four$"):
        next(made)


@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_goes_on_after_the_end(workers: int):
    before = set(threading.enumerate())
    made = prefetch(lambda number: number, range(10**9), workers)
    assert [next(made) for _ in range(3)] == [0, 1, 2]
    assert len(multiprocessing.active_children()) == workers
    made.close()
    del made
    assert until(lambda: not set(threading.enumerate()) - before and not multiprocessing.active_children())
