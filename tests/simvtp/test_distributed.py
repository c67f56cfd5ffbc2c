"""N processes are one process with the whole batch: draws, gradients, weights, stops, galleries."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from processes import together
from torch import Tensor

from simvtp.config import Config, override
from simvtp.data.errors import DataError
from simvtp.distributed import decide, mean, owned, rank, rows_of, share, size, started_as, whole_batch
from simvtp.encoding import encode_gallery, encode_videos, gallery, shuffled
from simvtp.exchange import gather_rows, take
from simvtp.finetune import dual_encoder
from simvtp.locks import Busy, Lock
from simvtp.objectives import Pretraining
from simvtp.presets import preset
from simvtp.pretrain import masked, pretrain, train_loader
from simvtp.run import run
from simvtp.stages import fresh_model, run_folder, tokenizer_of
from simvtp.training import Interrupted, Trainer, stoppable
from simvtp.validation import ConfigError
from simvtp.wrapping import around, whole


def config_of(changes: dict[str, str]) -> Config:
    return override(preset("tiny"), changes)


def gradient(changes: dict[str, str], step: int) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Of the sum of the four losses at the first weights, with the batch and masks of a step."""
    config = config_of(changes)
    tokenizer, cpu = tokenizer_of(config), torch.device("cpu")
    model = fresh_model(config, tokenizer)
    forward = around(Pretraining(model, config), config.machine, cpu)
    batch = next(train_loader(config, tokenizer).batches(step))
    found = forward(masked(batch, config, tokenizer, step, cpu))
    torch.stack(list(found.values())).sum().backward()
    grads = {n: whole(p.grad) for n, p in model.named_parameters() if p.grad is not None}
    return grads, mean(found)


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("shard", ["off", "on"])
def test_the_gradient_is_that_of_one_process_with_the_whole_batch(
    quick: dict[str, str], tmp_path: Path, count: int, shard: str
) -> None:
    # at 15% some processes have many masked words and some few: a mean of means would be another loss
    changes = {**quick, "mask.text": "0.15"}
    wanted, losses = gradient(changes, 3)
    for grads, found in together(count, tmp_path, gradient, {**changes, "machine.shard": shard}, 3):
        assert found == pytest.approx(losses, rel=1e-5)
        assert grads.keys() == wanted.keys()
        for name, grad in wanted.items():
            assert (grads[name] - grad).norm() <= 1e-5 * grad.norm(), name
