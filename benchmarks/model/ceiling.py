"""What a step computes, and how fast this machine could: its FLOP, and the least time of its matrix products.

There are two ceilings. `ceiling` is the rate of the fastest large square product. `seconds_of_products` records what a
step multiplies while it runs. Every shape is then multiplied alone, hot, in each memory layout, and the fastest counts
as often as the shape came. Small products are far slower than large square ones, so a step of a small model can only
reach this second ceiling. Attention counts as its products for all heads at once: two forward and four backward. The
fifth of the backward pass, scores that are computed again to save memory, is not needed for the losses.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

SIDES = (1024, 2048)
SECONDS = 0.3  # for each product and size


def ceiling(dtype: torch.dtype) -> float:
    """GFLOP/s of the fastest square product of SIDES by `torch.matmul`, with the threads that are set."""
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


SHAPE_SECONDS = 0.04  # for each way of each shape
Shape = tuple[int, int, int, int]  # how many at once, rows, inner, columns
aten = torch.ops.aten


def seconds_of_products(action: Callable[[], object], dtype: torch.dtype) -> float:
    """Seconds that the products of one call of `action` would take at their best, on a CPU in `dtype`."""
    with Recorder() as recorder:
        action()
    return sum(count * best(shape, dtype) for shape, count in recorder.shapes.items())


class Recorder(TorchDispatchMode):
    """Counts the shapes of matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: Counter[Shape] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.shapes.update(shapes_of(func, args))
        return func(*args, **(kwargs or {}))


def shapes_of(func: Any, args: tuple[Any, ...]) -> Iterator[Shape]:
    """Of one operation; nothing for what is no product."""
    if func is aten.mm.default:
        yield _flat(args[0], args[1].shape[1])
    elif func is aten.addmm.default:
        yield _flat(args[1], args[2].shape[1])
    elif func is aten.bmm.default:
        many, rows, inner = args[0].shape
        yield (many, rows, inner, args[1].shape[2])
    elif func is aten._scaled_dot_product_flash_attention_for_cpu.default:
        yield from _attention(args[0], args[1])
    elif func is aten._scaled_dot_product_flash_attention_for_cpu_backward.default:
        yield from 2 * _attention(args[1], args[2])


def _flat(x: Tensor, columns: int) -> Shape:
    return (1, x.numel() // x.shape[-1], x.shape[-1], columns)


def _attention(query: Tensor, key: Tensor) -> list[Shape]:
    batch, heads, queries, width = query.shape
    return [(batch * heads, queries, width, key.shape[2]), (batch * heads, queries, key.shape[2], width)]


def best(shape: Shape, dtype: torch.dtype) -> float:
    """Seconds of the fastest way."""
    many, rows, inner, columns = shape
    if many > 1:
        left, right = torch.randn(many, rows, inner).to(dtype), torch.randn(many, inner, columns).to(dtype)
        turned = right.transpose(1, 2).contiguous().transpose(1, 2)
        return min(fastest(lambda: torch.bmm(left, other), SHAPE_SECONDS) for other in (right, turned))  # noqa: B023
    x, weight = torch.randn(rows, inner).to(dtype), torch.randn(columns, inner).to(dtype)
    upright, across = weight.t().contiguous(), x.t().contiguous()
    ways: list[Callable[[], Tensor]] = [
        lambda: x @ weight.t(),
        lambda: x @ upright,
        lambda: across.t() @ upright,
    ]
    return min(fastest(way, SHAPE_SECONDS) for way in ways)


def gflop(action: Callable[[], object]) -> float:
    """GFLOP of one call: twice the multiply-adds of every matrix product, by torch's counter."""
    with FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION) as counter:
        action()
    return float(counter.get_total_flops()) / 1e9


def _attention_flop(query: torch.Size, key: torch.Size, value: torch.Size) -> int:
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[2] * (width + value[3])


_CPU_ATTENTION = {  # which torch's counter does not know
    aten._scaled_dot_product_flash_attention_for_cpu: lambda query, key, value, *_, **__: _attention_flop(
        query, key, value
    ),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda _, query, key, value, *__, **___: (
        2 * _attention_flop(query, key, value)
    ),
}
