"""Copies from the CPU to a device that the CPU does not wait for."""

from __future__ import annotations

import functools

import torch
from torch import Tensor


def copy_to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor, of any shape, on the device; the CPU does not wait for the copy.

    On a GPU it is copied from pinned memory on a stream of its own, so a batch is copied while the step before it is
    still computed. From ordinary memory CUDA may wait for all work of the stream, whatever `non_blocking` says (CUDA
    Runtime API, "API synchronization behavior"). Later operations on the GPU wait for the copy. A tensor that is
    there already is returned as it is.
    """
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor.to(device)
    copies, current = _copy_stream(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(copies):
        moved = tensor.pin_memory().to(device, non_blocking=True)
    current.wait_stream(copies)
    moved.record_stream(current)  # its memory is not given to the next copy before the step has read it
    return moved


@functools.cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
