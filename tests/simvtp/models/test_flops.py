"""The FLOP of a step against torch's own count of the matrix products that are really done."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from simvtp.models.flops import finetune_gflop, pretrain_gflop
from simvtp.models.objectives import losses
from tests.simvtp.models import small_batch

AXES: list[dict[str, Any]] = [
    {},
    {"mask__kind": "frame"},
    {"mask__words": "dropped"},
    {"mask__decoded": 0.5},
    {"objective__contrast": "clean"},
    {"objective__contrast": "clean", "mask__words": "dropped"},
    {"objective__negatives": "hard"},
    {"objective__learn_temperature": True},
    {"objective__vtc": 0, "objective__vtm": 0},
    {"model__decoder_width": 16, "model__decoder_depth": 3},
]


@pytest.mark.parametrize("changes", AXES, ids=str)
def test_every_axis_is_counted(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_batch.config(pretrain__batch=small_batch.ROWS, **changes)
    monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", attention)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        computed = losses(small_batch.model(config), small_batch.batch(config), config)
    rows, width, masked = small_batch.ROWS, config.model.width, 4 * small_batch.ROWS
    inputs = config.model.decoder_width if config.mask.words == "dropped" else width
    heads = 2 * masked * inputs * small_batch.WORDS  # the word head, which the cost leaves out
    if "vtm" in computed:
        heads += 2 * 2 * rows * width * 2  # and what costs next to nothing
    if "vtc" in computed:
        heads += 2 * rows * rows * width * (2 if config.objective.negatives == "hard" else 1)
    wanted = pretrain_gflop(config, small_batch.LENGTH) * 1e9 / 3
    assert counter.get_total_flops() - heads == pytest.approx(wanted, rel=1e-9)


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, attn_mask: torch.Tensor | None) -> torch.Tensor:
    """Attention out of products that the counter knows."""
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    return scores.softmax(-1) @ v


def test_a_fine_tuning_step_reads_whole_clips_and_captions() -> None:
    # 64 tubes of 384 values and 10 words, each by an encoder of width 16, 2 layers
    config = small_batch.config(finetune__batch=2)
    video = 2 * 64 * 384 * 16 + 2 * 2 * 64 * (12 * 16 * 16 + 2 * 64 * 16)
    text = 2 * 2 * 10 * (12 * 16 * 16 + 2 * 10 * 16)
    assert finetune_gflop(config, 10) == pytest.approx(3 * 2 * (video + text) / 1e9, rel=1e-12)


def test_literal() -> None:
    # 64 tubes of 384 values, 32 of them seen; 10 words; width 16, 2 layers; decoder width 8, 1 layer
    config = small_batch.config(pretrain__batch=2, objective__mlm=0, objective__vtc=0, objective__vtm=0)
    assert config.model.tubes == 64
    embedding = 2 * 32 * 384 * 16
    encoder = 2 * 2 * 42 * (12 * 16 * 16 + 2 * 42 * 16)
    decoder = 2 * 32 * 16 * 8 + 2 * 64 * (12 * 8 * 8 + 2 * 64 * 8) + 2 * 32 * 8 * 384
    assert pretrain_gflop(config, 10) == pytest.approx(3 * 2 * (embedding + encoder + decoder) / 1e9, rel=1e-12)
    half = small_batch.config(
        pretrain__batch=2, objective__mlm=0, objective__vtc=0, objective__vtm=0, mask__decoded=0.5
    )
    smaller = 2 * 32 * 16 * 8 + 2 * 48 * (12 * 8 * 8 + 2 * 48 * 8) + 2 * 16 * 8 * 384
    assert pretrain_gflop(half, 10) == pytest.approx(3 * 2 * (embedding + encoder + smaller) / 1e9, rel=1e-12)
