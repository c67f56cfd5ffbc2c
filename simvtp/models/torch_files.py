"""Torch files read without running anything that is in them, and checked to hold plain tensors."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

DEPTH = 50  # of containers in containers


def load_torch(file: Path | IO[bytes], size: int) -> Any:
    """The content of a torch file of `size` bytes, on the CPU.

    Raises pickle.UnpicklingError if it holds more than tensors and plain values, another exception of any kind where
    it is damaged, and ValueError where a tensor in it is not stored as plain numbers in the file.
    """
    # VideoMAE keeps its command line beside the weights: a Namespace is a bare bag of values
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(file, map_location="cpu", weights_only=True)
    _check(content, size, 0, set())
    return content


def _check(value: Any, size: int, depth: int, done: set[int]) -> None:
    if isinstance(value, Tensor):
        if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized:
            kind = f"{value.layout}, {value.device}, {value.dtype}".replace("torch.", "")
            raise ValueError(f"a tensor in it is no plain one in memory ({kind})")
        if value.numel() * value.element_size() > size:
            raise ValueError(f"a tensor in it of shape {list(value.shape)} is larger than the file")
    elif isinstance(value, dict | list | tuple) and id(value) not in done:
        if depth == DEPTH:
            raise ValueError("its content holds itself, or is nested too deep")
        for inner in value.values() if isinstance(value, dict) else value:
            _check(inner, size, depth + 1, done)
        done.add(id(value))
