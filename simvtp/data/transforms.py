"""Transforms of clips: crops, and augmentation by RandAugment, flip and random erasing, the same for all frames.

Augmentation is a pure function of (seed, epoch, sample). Ranges are those of timm's "rand-m7-n4-mstd0.5-inc1", as in
the fine-tuning recipes of VideoMAE and SimVTP (Cubuk et al. 2020; SimVTP, MSR-VTT recipe). Unlike there it works on the
cropped clip, a fraction of the pixels, and interpolates bilinearly throughout.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from simvtp.config.formats import magnitude_and_number
from simvtp.data.video.video import Frames
from simvtp.errors import ConfigError
from simvtp.runtime.constants import IMAGENET_MEAN, IMAGENET_STD
from simvtp.runtime.timm_compat import InterpolationMode, vision

MAX_MAGNITUDE = 10.0
MAGNITUDE_STD = 0.5  # from one operation to the next
APPLY_PROBABILITY = 0.5  # of each operation drawn
FILL = [round(255 * value) for value in IMAGENET_MEAN]
ERASED_AREA = (0.02, 1 / 3)  # share of the frame
ERASED_ASPECT = (0.3, 1 / 0.3)
# In a caption that a mirror image could make wrong.
DIRECTION_WORDS = re.compile(
    r"\b(left|right)(\b|-|hand|most|ward)|\b(east|west)(\b|er|ward)|clockwise|\bmirror|\bletter|\bwords?\b|\btext\b"
)

Operation = Callable[[Tensor, float, float], Tensor]  # uint8 [T, 3, H, W], magnitude, sign


def _affine(
    clip: Tensor, angle: float = 0.0, move: tuple[float, float] = (0, 0), shear: tuple[float, float] = (0, 0)
) -> Tensor:
    origin = [0.0, 0.0] if any(shear) else None  # timm shears from the upper left corner, and turns about the middle
    moved: Tensor = vision.affine(
        clip, angle, list(move), 1.0, list(shear), interpolation=InterpolationMode.BILINEAR, fill=FILL, center=origin
    )
    return moved


def _degrees(slope: float) -> float:
    return float(np.degrees(np.arctan(slope)))


def _solarize_add(clip: Tensor, m: float, _: float) -> Tensor:
    brighter = (clip.to(torch.int16) + min(128, int(m / MAX_MAGNITUDE * 110))).clamp(max=255).to(torch.uint8)
    return torch.where(clip < 128, brighter, clip)


def _factor(m: float, sign: float) -> float:
    return max(0.1, 1 + sign * 0.9 * m / MAX_MAGNITUDE)


OPERATIONS: dict[str, Operation] = {
    "AutoContrast": lambda clip, m, sign: vision.autocontrast(clip),  # noqa: ARG005
    "Equalize": lambda clip, m, sign: vision.equalize(clip),  # noqa: ARG005
    "Invert": lambda clip, m, sign: vision.invert(clip),  # noqa: ARG005
    "Rotate": lambda clip, m, sign: _affine(clip, angle=-sign * 30 * m / MAX_MAGNITUDE),
    "PosterizeIncreasing": lambda clip, m, sign: vision.posterize(clip, 4 - int(m / MAX_MAGNITUDE * 4)),  # noqa: ARG005
    "SolarizeIncreasing": lambda clip, m, sign: vision.solarize(clip, 256 - int(m / MAX_MAGNITUDE * 256)),  # noqa: ARG005
    "SolarizeAdd": _solarize_add,
    "ColorIncreasing": lambda clip, m, sign: vision.adjust_saturation(clip, _factor(m, sign)),
    "ContrastIncreasing": lambda clip, m, sign: vision.adjust_contrast(clip, _factor(m, sign)),
    "BrightnessIncreasing": lambda clip, m, sign: vision.adjust_brightness(clip, _factor(m, sign)),
    "SharpnessIncreasing": lambda clip, m, sign: vision.adjust_sharpness(clip, _factor(m, sign)),
    "ShearX": lambda clip, m, sign: _affine(clip, shear=(_degrees(sign * 0.3 * m / MAX_MAGNITUDE), 0)),
    "ShearY": lambda clip, m, sign: _affine(clip, shear=(0, _degrees(sign * 0.3 * m / MAX_MAGNITUDE))),
    "TranslateXRel": lambda clip, m, sign: _affine(clip, move=(-sign * 0.45 * m / MAX_MAGNITUDE * clip.shape[3], 0)),
    "TranslateYRel": lambda clip, m, sign: _affine(clip, move=(0, -sign * 0.45 * m / MAX_MAGNITUDE * clip.shape[2])),
}


def names_direction(captions: tuple[str, ...]) -> bool:
    """Whether a caption names a side, a turn or something written, which a mirror image would make wrong."""
    return any(DIRECTION_WORDS.search(caption.lower()) for caption in captions)


@dataclass(frozen=True)
class PluginAugmentation:
    """An augmentation of a plugin. change: clip and generator -> clip; chance: the share of clips that it changes."""

    name: str
    chance: float
    change: Callable[[Frames, np.random.Generator], Frames]

    def __call__(self, clip: Frames, seed: int, epoch: int, index: int) -> Frames:
        """Its draws are its own: it moves none of another augmentation. Raises ConfigError for what is no such clip."""
        random = _generator(f"augmentation {self.name} {seed} {epoch} {index}")
        if random.random() >= self.chance:
            return clip
        changed = self.change(clip, random)
        if not isinstance(changed, np.ndarray) or changed.shape != clip.shape or changed.dtype != np.uint8:
            given = f"{getattr(changed, 'dtype', type(changed).__name__)} {getattr(changed, 'shape', '')}"
            raise ConfigError(f"augmentation {self.name}: it makes {given} of uint8 {clip.shape}")
        return np.ascontiguousarray(changed)


def _generator(text: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big"))


@dataclass(frozen=True)
class Augmentation:
    """rand_augment: "m7-n4" or nothing; flip: none, safe (not where a caption `names_direction`) or all; erasing: its
    probability; added: those of plugins, in their order."""

    rand_augment: str = ""
    flip: str = "none"
    erasing: float = 0.0
    added: tuple[PluginAugmentation, ...] = ()

    @property
    def is_identity(self) -> bool:
        return self == Augmentation()

    def __call__(self, clip: Frames, captions: tuple[str, ...], seed: int, epoch: int, index: int) -> Frames:
        """uint8 [T, H, W, 3] in and out; `clip` is left as it is."""
        random = _generator(f"augmentation {seed} {epoch} {index}")
        if self.rand_augment:
            clip = rand_augment(clip, self.rand_augment, random)
        if self.flip != "none":
            mirrored = random.random() < 0.5  # drawn for every clip: what a caption says moves no later draw
            if mirrored and (self.flip == "all" or not names_direction(captions)):
                clip = np.ascontiguousarray(clip[:, :, ::-1])
        if self.erasing and random.random() < self.erasing:
            clip = erase(clip, random)
        for added in self.added:
            clip = added(clip, seed, epoch, index)
        return clip


def rand_augment(clip: Frames, recipe: str, random: np.random.Generator) -> Frames:
    """The given number of operations, each drawn from all, carried out in half of the cases."""
    centre, count = magnitude_and_number(recipe)
    pixels = torch.from_numpy(np.array(clip)).permute(0, 3, 1, 2)  # a copy: cached frames are read-only
    names = list(OPERATIONS)
    for _ in range(count):
        name, applied = names[random.integers(len(names))], random.random() < APPLY_PROBABILITY
        magnitude = float(np.clip(random.normal(centre, MAGNITUDE_STD), 0, MAX_MAGNITUDE))
        sign = 1.0 if random.random() < 0.5 else -1.0
        if applied:
            pixels = OPERATIONS[name](pixels, magnitude, sign)
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


def erase(clip: Frames, random: np.random.Generator) -> Frames:
    """One box, the same in all frames, filled with noise of ImageNet's mean and deviation (Zhong et al. 2020)."""
    frames, height, width, _ = clip.shape
    for _ in range(10):  # until a box fits
        area = height * width * random.uniform(*ERASED_AREA)
        aspect = np.exp(random.uniform(*np.log(ERASED_ASPECT)))
        tall, wide = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if 0 < tall < height and 0 < wide < width:
            top, left = random.integers(height - tall + 1), random.integers(width - wide + 1)
            noise = random.standard_normal((frames, tall, wide, 3), dtype=np.float32)
            pixels = 255 * (noise * np.array(IMAGENET_STD, np.float32) + np.array(IMAGENET_MEAN, np.float32))
            clip = np.array(clip)
            clip[:, top : top + tall, left : left + wide] = pixels.round().clip(0, 255).astype(np.uint8)
            return clip
    return clip


MULTISCALE = (1.0, 0.875, 0.75, 0.66)
# Sides of the box, as indices into MULTISCALE of height and width: no more than one step apart.
MULTISCALE_SIDES = [(i, j) for i in range(4) for j in range(4) if abs(i - j) <= 1]
# Corners, centre, middles of the sides, and the centres of the quarters: rows and columns in quarters of what is free.
MULTISCALE_PLACES = ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1),
                     (3, 3))  # fmt: skip
SIZE_TOLERANCE = 3  # pixels: a box that differs less from the size of a clip takes that size, and is not resized


RESIZED_ASPECT = (3 / 4, 4 / 3)
RESIZED_TRIES = 10

Box = tuple[int, int, int, int]  # top, left, height, width


def draw_box(crop: str, height: int, width: int, draws: Sequence[float], *, size: int, area: float = 0.5) -> Box:
    """The crop of a training clip of `height` x `width` pixels; `draws`: four numbers in [0, 1).

    none: the central square. multiscale: of the 10 shapes and 13 places of TSN (Wang et al. 2016, section 3.3; as in
    VideoMAE and SimVTP), size: side of a clip. resized: a share of `area` to 1 of the frame, aspect 3:4 to 4:3; where
    ten draws do not fit, the largest such box in the centre (as in Inception and torchvision's RandomResizedCrop).
    """
    if crop == "none":
        short = min(height, width)
        return (height - short) // 2, (width - short) // 2, short, short
    return _multiscale(height, width, draws, size) if crop == "multiscale" else _resized(height, width, draws, area)


def _multiscale(height: int, width: int, draws: Sequence[float], size: int) -> Box:
    sides = [int(min(height, width) * scale) for scale in MULTISCALE]
    sides = [size if abs(side - size) < SIZE_TOLERANCE else side for side in sides]
    shape = MULTISCALE_SIDES[int(draws[0] * len(MULTISCALE_SIDES))]
    tall, wide = min(sides[shape[0]], height), min(sides[shape[1]], width)
    row, column = MULTISCALE_PLACES[int(draws[1] * len(MULTISCALE_PLACES))]
    return (height - tall) // 4 * row, (width - wide) // 4 * column, tall, wide


def _resized(height: int, width: int, draws: Sequence[float], area: float) -> Box:
    low, high = np.log(RESIZED_ASPECT)
    for share, place in _tries(draws):
        pixels = height * width * (area + share * (1 - area))
        aspect = float(np.exp(low + place * (high - low)))
        tall, wide = round((pixels / aspect) ** 0.5), round((pixels * aspect) ** 0.5)
        if 0 < tall <= height and 0 < wide <= width:
            return int(draws[2] * (height - tall + 1)), int(draws[3] * (width - wide + 1)), tall, wide
    tall = min(height, round(width / RESIZED_ASPECT[0]))
    wide = min(width, round(height * RESIZED_ASPECT[1]))
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def _tries(draws: Sequence[float]) -> Iterator[tuple[float, float]]:
    """The first two draws, then pairs from a generator that they seed."""
    yield draws[0], draws[1]
    random = np.random.default_rng([int(draw * 2**53) for draw in draws])
    for _ in range(RESIZED_TRIES - 1):
        yield random.random(), random.random()


def decoded_side(crop: str, size: int, area: float = 0.5) -> int:
    """The short side that a video need not be decoded above: every box that may be drawn still has `size` pixels."""
    least = {"none": 1.0, "multiscale": MULTISCALE[-1], "resized": (area * RESIZED_ASPECT[0]) ** 0.5}
    return math.ceil(size / least[crop])


def crop_and_resize(frames: Frames, box: Box, size: int) -> Frames:
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
    squares = []
    for place in (0.5,) if crops == 1 else (0.0, 0.5, 1.0):
        top, left = int((height - size) * place), int((width - size) * place)
        squares.append(frames[:, top : top + size, left : left + size])
    return squares


def _resize(frames: Frames, height: int, width: int) -> Frames:
    pixels: Tensor = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2)  # a copy: cached frames are read-only
    resized = functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True, align_corners=False)
    return resized.permute(0, 2, 3, 1).contiguous().numpy()
