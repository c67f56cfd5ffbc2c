"""Arithmetic that a step does, counted while it runs: twice the multiply-adds of every matrix product.

torch's counter, told of the two operations on the CPU that it does not know. Attention counts as four products backward
(the fifth, scores computed again to save memory, is no need of the losses).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

Shape = torch.Size


def gflop(action: Callable[[], object]) -> float:
    """GFLOP of one call."""
    with FlopCounterMode(display=False, custom_mapping=KNOWN) as counter:
        action()
    return float(counter.get_total_flops()) / 1e9


def _attention(query: Shape, key: Shape, value: Shape) -> int:
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[2] * (width + value[3])


def _forward(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return _attention(query, key, value)


def _backward(gradient: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:  # noqa: ARG001
    return 2 * _attention(query, key, value)


KNOWN = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _forward,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _backward,
}
