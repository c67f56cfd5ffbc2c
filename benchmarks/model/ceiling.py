"""The rate of the fastest large matrix product on this machine, GFLOP/s: the ceiling of a step's rate."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

SIDES = (1024, 2048)
SECONDS = 0.3  # for each product and size


def ceiling(dtype: torch.dtype) -> float:
    """The best single one over square products of two sizes by `torch.matmul`.

    With the threads that are set.
    """
    best = 0.0
    for side in SIDES:
        left, right = (torch.randn(side, side).to(dtype) for _ in range(2))
        best = max(best, 2 * side**3 / fastest(lambda: left @ right) / 1e9)  # noqa: B023  (called here)
    return best


def fastest(action: Callable[[], object], seconds: float = SECONDS) -> float:
    """Seconds of the fastest of many calls."""
    action()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - began)
    return best
