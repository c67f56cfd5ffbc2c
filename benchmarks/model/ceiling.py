"""The fastest matrix product that this machine was seen to do, in GFLOP/s: what a step is a share of."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

SIDES = (1024, 2048)
SECONDS = 0.3  # for each product and size


def ceiling(dtype: torch.dtype) -> float:
    """Over square products of two sizes, by torch's `matmul` and, on a CPU that has it, by oneDNN: the best single one.

    With the threads that are set.
    """
    best = 0.0
    for side in SIDES:
        left, right = (torch.randn(side, side).to(dtype) for _ in range(2))
        for product in products():
            best = max(best, 2 * side**3 / fastest(lambda: product(left, right)) / 1e9)  # noqa: B023  (called here)
    return best


def products() -> list[Callable[[Tensor, Tensor], Tensor]]:
    found: list[Callable[[Tensor, Tensor], Tensor]] = [torch.matmul]
    if torch.backends.mkldnn.is_available():
        found.append(lambda x, w: torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], ""))
    return found


def fastest(action: Callable[[], object], seconds: float = SECONDS) -> float:
    """Seconds of the fastest of many calls."""
    action()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - began)
    return best
