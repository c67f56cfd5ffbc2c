"""What a step takes to the device goes one way, which does not make the CPU wait on a GPU."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from simvtp import pretrain
from simvtp.data.train_loader import Batch
from simvtp.distributed.device_copy import copy_to_device
from simvtp.models import masking
from tests.simvtp.models import small_batch

META = torch.device("meta")


def tensors(part: Any) -> list[Tensor]:
    return [value for entry in fields(part) if isinstance(value := getattr(part, entry.name), Tensor)]


def test_all_of_a_masked_batch_is_copied_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[Tensor] = []

    def copy(tensor: Tensor, device: torch.device) -> Tensor:
        copied.append(tensor)
        return tensor.to(device)

    for module in (pretrain, masking):
        monkeypatch.setattr(module, "copy_to_device", copy)
    config, known = small_batch.config(mask__words="dropped"), SimpleNamespace(pad=0, cls=2, sep=3, mask=4)
    words = torch.full((4, 10), 7)
    batch = Batch(torch.zeros(4, 8, 32, 32, 3, dtype=torch.uint8), words, words, ["a", "b", "c", "d"])
    made: Any = pretrain.masked(batch, config, known, 0, META)  # type: ignore[arg-type]
    there = [tensor for part in (made, made.video_mask, made.text_mask, made.dropped) for tensor in tensors(part)]
    assert len(there) == 13
    assert [tensor.device.type for tensor in there].count("meta") == len(copied) == 12
    assert made.negatives.device.type == "cpu"  # it is needed there where there are several processes


def test_a_tensor_that_is_on_the_device_is_returned_as_it_is() -> None:
    here = torch.zeros(2)
    assert copy_to_device(here, torch.device("cpu")) is here
