"""Decoded frames on the GPU: a batch is looked up there by frame numbers, and no pixel is copied in a step.

For clips that are frames of the frame cache as they are: no crop, no resize, no augmentation.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simvtp.distributed.device_copy import copy_to_device

log = logging.getLogger(__name__)

# Of a GPU's memory, at most: four runs that share a GPU (sweeps/run.py --pack 4) leave half of it to their models.
SHARE = 1 / 8
VIDEOS_AT_ONCE = 64  # copied to the device


def frames_on(device: torch.device, cached: NDArray[np.uint8], rows: Sequence[int]) -> DeviceFrames | None:
    """The frames of some rows of the frame cache on the device; None where that is no GPU, or they do not fit there."""
    size = len(rows) * cached[0].nbytes
    if not fits(size, device):
        return None
    log.info("decoded frames: %.0f MB are kept on the GPU", size / 1e6)
    return DeviceFrames(cached, rows, device)


def fits(size: int, device: torch.device) -> bool:
    """Whether `size` bytes of frames are kept on a device: on a GPU, where they are at most SHARE of its memory and
    half of what other processes have left of it."""
    if device.type != "cuda":
        return False
    free, total = torch.cuda.mem_get_info(device)
    return size <= SHARE * total and size <= free / 2


class DeviceFrames:
    """Frames of videos on a device, numbered from the first frame of the first video on.

    cached: uint8 [N, T, H, W, 3], as `frame_cache.open_frames` gives them. rows: of `cached`, the videos to keep, in
    this order. device: where.
    """

    def __init__(self, cached: NDArray[np.uint8], rows: Sequence[int], device: torch.device) -> None:
        self.length = cached.shape[1]  # frames of a video
        self._frames = torch.empty((len(rows), *cached.shape[1:]), dtype=torch.uint8, device=device)
        for first in range(0, len(rows), VIDEOS_AT_ONCE):
            part = list(rows[first : first + VIDEOS_AT_ONCE])
            self._frames[first : first + len(part)] = torch.from_numpy(cached[part])

    def numbers(self, video: int, chosen: Sequence[int]) -> NDArray[np.int64]:
        """int64 [frames]: numbers of the chosen frames of a video, given by its place in `rows`."""
        return np.asarray(chosen, np.int64) + video * self.length

    def clips(self, numbers: Tensor) -> Tensor:
        """Numbers of frames, int64 [B, T] on the CPU -> uint8 [B, T, H, W, 3] on the device; the CPU does not wait."""
        wanted = copy_to_device(numbers.flatten(), self._frames.device)
        return self._frames.flatten(0, 1).index_select(0, wanted).unflatten(0, numbers.shape)
