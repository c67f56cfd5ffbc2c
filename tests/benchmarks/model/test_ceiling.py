"""Recorded shapes of products and counted FLOP against literal ones."""

from collections import Counter

import torch
from torch.nn import functional

from benchmarks.model.ceiling import Recorder, gflop, seconds_of_products


def test_linear_maps_forward_and_backward() -> None:
    x, weight, bias = torch.ones(4, 5, 8, requires_grad=True), torch.ones(6, 8, requires_grad=True), torch.ones(6)
    with Recorder() as recorder:
        functional.linear(x, weight, bias).sum().backward()  # type: ignore[no-untyped-call]
    assert recorder.shapes == Counter([(1, 20, 8, 6), (1, 20, 6, 8), (1, 6, 20, 8)])


def test_attention_is_two_products_forward_and_four_backward() -> None:
    q, k, v = (torch.ones(2, 3, 7, 4, requires_grad=True) for _ in range(3))
    with Recorder() as recorder:
        functional.scaled_dot_product_attention(q, k, v).sum().backward()  # type: ignore[no-untyped-call]
    assert recorder.shapes == Counter({(6, 7, 4, 7): 3, (6, 7, 7, 4): 3})


def test_seconds_count_every_product() -> None:
    x = torch.ones(96, 96)
    once = seconds_of_products(lambda: x @ x, torch.float32)
    often = seconds_of_products(lambda: [x @ x for _ in range(1000)], torch.float32)
    assert 0 < 50 * once < often


def test_flop_of_linear_maps() -> None:
    x, weight = torch.ones(4, 5, 8, requires_grad=True), torch.ones(6, 8, requires_grad=True)
    product = 2 * 4 * 5 * 8 * 6
    assert gflop(lambda: functional.linear(x, weight)) == product / 1e9
    assert gflop(lambda: functional.linear(x, weight).sum().backward()) == 3 * product / 1e9  # type: ignore[no-untyped-call]


def test_flop_of_attention() -> None:
    q, k, v = (torch.ones(2, 3, 7, 4, requires_grad=True) for _ in range(3))
    product = 2 * 2 * 3 * 7 * 7 * 4
    assert gflop(lambda: functional.scaled_dot_product_attention(q, k, v)) == 2 * product / 1e9
    assert gflop(lambda: functional.scaled_dot_product_attention(q, k, v).sum().backward()) == 6 * product / 1e9
