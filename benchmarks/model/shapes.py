"""The least time of a step's own matrix products, each alone: the ceiling of its own shapes.

What a step multiplies is recorded while it runs; then every shape is multiplied by itself, hot, in each memory
layout, and the fastest counts as often as the shape came. Small products are far below what large square ones
reach (`ceiling.py`), so for a small model this is what a step can be a share of. Attention counts as its products: two
forward, four backward, for all heads at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.model.ceiling import fastest

SECONDS = 0.04  # for each way of each shape
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
        return min(fastest(lambda: torch.bmm(left, other), SECONDS) for other in (right, turned))  # noqa: B023
    x, weight = torch.randn(rows, inner).to(dtype), torch.randn(columns, inner).to(dtype)
    upright, across = weight.t().contiguous(), x.t().contiguous()
    ways: list[Callable[[], Tensor]] = [
        lambda: x @ weight.t(),
        lambda: x @ upright,
        lambda: across.t() @ upright,
    ]
    return min(fastest(way, SECONDS) for way in ways)
