"""Factorised positions of tubes: time, row and column apart."""

from __future__ import annotations

import torch

from simvtp.config.schema import override
from simvtp.models.embeddings import factorised_positions, sine_positions, tube_positions
from tests.small_config import CONFIG


def test_factorised_positions_share_the_part_of_an_axis_and_are_distinct() -> None:
    table = factorised_positions((4, 8, 8), 64).view(4, 8, 8, 64)
    time, row, column = table.split((16, 24, 24), dim=3)
    assert torch.equal(time, time[:, :1, :1].expand_as(time))
    assert torch.equal(row, row[:1, :, :1].expand_as(row))
    assert torch.equal(column, column[:1, :1].expand_as(column))
    distances = torch.cdist(table.flatten(0, 2), table.flatten(0, 2)) + 10 * torch.eye(256)
    assert distances.min() > 1


def test_every_even_width_from_six_is_filled() -> None:
    for width in range(6, 40, 2):
        assert factorised_positions((2, 3, 3), width).shape == (18, width)


def test_the_config_chooses() -> None:
    assert torch.equal(tube_positions(CONFIG.model, 64), sine_positions(144, 64))
    model = override(CONFIG, {"model.position_encoding": "factorised"}).model
    assert torch.equal(tube_positions(model, 64), factorised_positions((4, 6, 6), 64))
