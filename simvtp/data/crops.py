"""Where a clip is cropped, one box for all its frames, and resizing it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from simvtp.data.video import Frames

MULTISCALE = (1.0, 0.875, 0.75, 0.66)
RESIZED_AREA = (0.5, 1.0)
RESIZED_ASPECT = (3 / 4, 4 / 3)


def draw_box(crop: str, height: int, width: int, draws: Sequence[float]) -> tuple[int, int, int, int]:
    """top, left, height, width of the crop of a training clip; `draws`: four numbers in [0, 1).

    none: the central square. multiscale (TSN): height and width are, each on its own, 1, .875, .75 or .66 of the short
    side. resized: an area of 50 to 100% with aspect 3:4 to 4:3, cut to what fits.
    """
    short = min(height, width)
    if crop == "none":
        return (height - short) // 2, (width - short) // 2, short, short
    if crop == "multiscale":
        tall, wide = (round(short * MULTISCALE[int(draw * len(MULTISCALE))]) for draw in draws[:2])
    else:
        area = height * width * (RESIZED_AREA[0] + draws[0] * (RESIZED_AREA[1] - RESIZED_AREA[0]))
        low, high = np.log(RESIZED_ASPECT)
        aspect = float(np.exp(low + draws[1] * (high - low)))
        tall, wide = round((area / aspect) ** 0.5), round((area * aspect) ** 0.5)
    tall, wide = max(1, min(tall, height)), max(1, min(wide, width))
    return int(draws[2] * (height - tall + 1)), int(draws[3] * (width - wide + 1)), tall, wide


def decoded_side(crop: str, size: int) -> int:
    """The short side that a video need not be decoded above: every box that may be drawn still has `size` pixels."""
    least = {"none": 1.0, "multiscale": MULTISCALE[-1], "resized": (RESIZED_AREA[0] * RESIZED_ASPECT[0]) ** 0.5}
    return math.ceil(size / least[crop])


def crop_and_resize(frames: Frames, box: tuple[int, int, int, int], size: int) -> Frames:
    """The box of every frame, as uint8 [T, size, size, 3]; frames that have the size already are not touched."""
    top, left, height, width = box
    cut = frames[:, top : top + height, left : left + width]
    return cut if (height, width) == (size, size) else _resize(cut, size, size)


def views(frames: Frames, crops: int, size: int) -> list[Frames]:
    """Square views at test: the short side resized to `size`, then the centre, or both ends and the centre."""
    height, width = frames.shape[1:3]
    if min(height, width) != size:
        scale = size / min(height, width)
        frames = _resize(frames, max(size, round(height * scale)), max(size, round(width * scale)))
        height, width = frames.shape[1:3]
    found = []
    for place in (0.5,) if crops == 1 else (0.0, 0.5, 1.0):
        top, left = int((height - size) * place), int((width - size) * place)
        found.append(frames[:, top : top + size, left : left + size])
    return found


def _resize(frames: Frames, height: int, width: int) -> Frames:
    pixels: Tensor = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2)  # a copy: cached frames are read-only
    resized = functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True, align_corners=False)
    return resized.permute(0, 2, 3, 1).contiguous().numpy()
