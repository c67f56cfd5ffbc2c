"""The counted FLOP of operations against literal numbers."""

import torch
from torch.nn import functional

from benchmarks.model.flop import gflop


def test_linear_maps_forward_and_backward() -> None:
    x, weight = torch.ones(4, 5, 8, requires_grad=True), torch.ones(6, 8, requires_grad=True)
    product = 2 * 4 * 5 * 8 * 6
    assert gflop(lambda: functional.linear(x, weight)) == product / 1e9
    assert gflop(lambda: functional.linear(x, weight).sum().backward()) == 3 * product / 1e9  # type: ignore[no-untyped-call]


def test_attention_forward_and_four_products_backward() -> None:
    q, k, v = (torch.ones(2, 3, 7, 4, requires_grad=True) for _ in range(3))
    product = 2 * 2 * 3 * 7 * 7 * 4
    assert gflop(lambda: functional.scaled_dot_product_attention(q, k, v)) == 2 * product / 1e9
    assert gflop(lambda: functional.scaled_dot_product_attention(q, k, v).sum().backward()) == 6 * product / 1e9
