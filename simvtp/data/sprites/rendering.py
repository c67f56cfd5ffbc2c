"""Clips of the embedded corpus as frames (numpy) and as H.264 files (PyAV).

What no caption names varies freely: where the objects are, their spacing, size, angle and speed, the light, shades,
clutter, noise, a shaking camera. Lengths are in pixels of a 48-pixel frame and scale with the frame.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from simvtp.data.sprites.scenes import Clip, Key, Spec, random_of
from simvtp.runtime.cache_dir import write_unsynced

Array = NDArray[np.float32]
Frames = NDArray[np.uint8]
Random = np.random.Generator

FRAMES_PER_SECOND = 8
RGB = {
    "red": (225, 30, 35),
    "yellow": (245, 235, 50),
    "green": (40, 180, 50),
    "blue": (50, 75, 245),
    "pink": (245, 85, 205),
    "white": (240, 240, 240),
}
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}

# Signed distance from the outline, negative inside; x, y and radius r in pixels; no outline leaves the square of
# half-side r.
OUTLINES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "disc": lambda x, y, r: np.hypot(x, y) - r,
    "pillar": lambda x, y, r: np.maximum(abs(x) - 0.36 * r, abs(y) - r),
    "slash": lambda x, y, r: np.maximum(abs(x + y) * 0.7071 - 0.3 * r, abs(x - y) * 0.7071 - 1.1 * r),
    "backslash": lambda x, y, r: np.maximum(abs(x - y) * 0.7071 - 0.3 * r, abs(x + y) * 0.7071 - 1.1 * r),
    "ring": lambda x, y, r: abs(np.hypot(x, y) - 0.76 * r) - 0.24 * r,
    "bar": lambda x, y, r: np.maximum(abs(x) - r, abs(y) - 0.36 * r),
}
SHADOW = 0.25  # brightness of the ground, below that of the objects
RADIUS = (0.36, 0.47)  # least and greatest, in spacings
CHANGING = (0.31, 0.36)  # the same halfway, of objects that grow or shrink
SPEED = (1.1, 1.6)  # least and greatest way of moving objects in a clip, in spacings
CELLS = 16  # the objects' offsets from their lattice repeat after so many cells


@dataclass(frozen=True)
class Field:
    """The objects of a clip. x, y: where the lattice stands in each frame, radius and visible (in [0, 1]) of every
    object, all [T]; spacing of the lattice; offsets from it [CELLS, CELLS, 2]; all in pixels of the frame."""

    x: Array
    y: Array
    radius: Array
    visible: Array
    spacing: float
    angle: float
    offsets: Array


def draw(spec: Spec, clip: Clip, *, noise: bool = True) -> Frames:
    """uint8 [T, H, W, 3], the same for the same spec and clip. noise=False: the scene without the camera's noise."""
    random = random_of(spec, "picture", clip.video_id)
    shake = random.uniform(-1, 1, (2, spec.frames)).astype(np.float32) * (spec.shake * spec.pixels / 48)
    field = _field(spec, clip.key, random)
    frames = _cloth(spec, clip.key.second, field.spacing, shake, random)
    _paint(frames, spec, clip.key, field, shake, random)
    if spec.share < 1:
        window = _window(spec, shake, random)[..., None]
        frames = window * frames + (1 - window) * _panels(spec, shake, random)
    frames *= _light(spec, random)
    if noise:
        frames += random.standard_normal(frames.shape, dtype=np.float32) * np.float32(spec.noise)
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def _shade(colour: str, random: Random) -> Array:
    return np.clip(np.array(RGB[colour], np.float32) + random.uniform(-14, 14, 3), 0, 255).astype(np.float32)


def _field(spec: Spec, key: Key, random: Random) -> Field:
    """Where the objects are and how they move, as the key says."""
    count = spec.frames
    loose = 1 - spec.regularity
    spacing = spec.pixels / np.sqrt(spec.objects) * (1 + loose * random.uniform(-0.2, 0.2))
    time = np.linspace(-0.5, 0.5, count, dtype=np.float32)
    x, y = (np.full(count, value, np.float32) for value in random.uniform(0, CELLS * spacing, 2))
    radius = np.full(count, random.uniform(*RADIUS) * spacing, np.float32)
    visible = np.ones(count, np.float32)
    speed = random.uniform(*SPEED) * spacing
    right, down = DIRECTIONS.get(key.motion, (0, 0))
    x, y = x + right * speed * time, y + down * speed * time
    if key.motion in ("grow", "shrink"):
        rate = random.uniform(0.8, 1.0) * (1 if key.motion == "grow" else -1)
        radius = np.float32(random.uniform(*CHANGING) * spacing) * 2 ** (time * rate)
    elif key.motion == "blink":
        period = max(1, count // 8)
        visible = ((np.arange(count) // period + random.integers(2)) % 2).astype(np.float32)
    angle = loose * random.uniform(-0.3, 0.3)
    offsets = (random.uniform(-0.5, 0.5, (CELLS, CELLS, 2)) * loose * spacing).astype(np.float32)
    return Field(x, y, radius, visible, float(spacing), float(angle), offsets)


def _pixels(spec: Spec, shake: Array) -> tuple[Array, Array]:
    """x and y of every pixel as the shaking camera sees it, [T, 1, W] and [T, H, 1]."""
    centres = np.arange(spec.pixels, dtype=np.float32) + 0.5
    return centres[None, None, :] + shake[0][:, None, None], centres[None, :, None] + shake[1][:, None, None]


def _cloth(spec: Spec, colour: str, spacing: float, shake: Array, random: Random) -> Array:
    """Woven cloth in the shadow, its threads a spacing of the objects apart, that the camera pans over; float
    [T, H, W, 3]."""
    across, along = _pixels(spec, shake)
    time = np.linspace(-0.5, 0.5, spec.frames, dtype=np.float32)[:, None, None]
    right, down = DIRECTIONS[list(DIRECTIONS)[random.integers(len(DIRECTIONS))]]
    pan = random.uniform(*SPEED) * spec.pan
    wave, (start_u, start_v) = np.float32(2 * np.pi / spacing), random.uniform(0, 2 * np.pi, 2)
    u = across * wave - np.float32(2 * np.pi * right * pan) * time + np.float32(start_u)
    v = along * wave - np.float32(2 * np.pi * down * pan) * time + np.float32(start_v)
    threads = np.float32(random.uniform(0.05, 0.15)) * (np.cos(u + v) - np.cos(u - v))
    return ((SHADOW * (1 + threads))[..., None] * _shade(colour, random)).astype(np.float32)


def _panels(spec: Spec, shake: Array, random: Random) -> Array:
    """Still stripes in two colours of any name, one as bright as the objects and one as dark as the ground; float
    [T, H, W, 3]."""
    across, along = _pixels(spec, shake)
    bright, dark = (list(RGB)[i] for i in random.choice(len(RGB), 2, replace=False))
    way, wide = (across, along)[random.integers(2)], np.float32(spec.pixels / 4)
    is_bright = (way / wide + np.float32(random.uniform(0, 4))) % 1 < random.uniform(0.35, 0.65)
    shape = (spec.frames, spec.pixels, spec.pixels, 1)
    chosen = np.broadcast_to(is_bright[..., None], shape)
    return np.where(chosen, _shade(bright, random), SHADOW * _shade(dark, random)).astype(np.float32)


def _paint(frames: Array, spec: Spec, key: Key, field: Field, shake: Array, random: Random) -> None:
    """Paint the objects over the ground, float [T, H, W, 3]."""
    across, along = _pixels(spec, shake)
    across, along = across - field.x[:, None, None], along - field.y[:, None, None]
    cosine, sine = np.float32(np.cos(field.angle)), np.float32(np.sin(field.angle))
    u, v = cosine * across + sine * along, cosine * along - sine * across
    cover, light = np.zeros_like(u), np.ones_like(u)
    near = (0,) if spec.regularity == 1 else (-1, 0, 1)
    columns, rows = (np.floor(part / field.spacing).astype(np.int32) for part in (u, v))
    for right in near:
        for down in near:
            column, row = columns + right, rows + down
            offset = field.offsets[row % CELLS, column % CELLS] if spec.regularity < 1 else np.zeros(2, np.float32)
            x = u - (column + np.float32(0.5)) * np.float32(field.spacing) - offset[..., 0]
            y = v - (row + np.float32(0.5)) * np.float32(field.spacing) - offset[..., 1]
            radius = field.radius[:, None, None]
            share = np.clip(0.5 - OUTLINES[key.shape](x, y, radius), 0, 1)
            light = np.where(share > cover, 1 - 0.16 * (x + y) / radius, light)  # lit from the upper left
            cover = np.maximum(cover, share)
    objects = light[..., None] * _shade(key.first, random)
    frames += (cover * field.visible[:, None, None])[..., None] * (objects - frames)


def _window(spec: Spec, shake: Array, random: Random) -> Array:
    """The part of the frame, in [0, 1], that shows the scene: a square of area spec.share; [T, H, W]."""
    half = np.sqrt(spec.share * random.uniform(0.8, 1.2)) * spec.pixels / 2
    x, y = (half + (spec.pixels - 2 * half) * random.uniform(0, 1, 2)).astype(np.float32)
    across, along = _pixels(spec, shake)
    return np.clip(0.5 + half - np.maximum(abs(across - x), abs(along - y)), 0, 1).astype(np.float32)


def _light(spec: Spec, random: Random) -> Array:
    """Light of some brightness and tint that falls from one side, a factor for each pixel [H, W, 3]."""
    side, turn = np.linspace(-1, 1, spec.pixels, dtype=np.float32), random.uniform(0, 2 * np.pi)
    slope = np.cos(turn) * side[None, :] + np.sin(turn) * side[:, None]
    colour = random.uniform(0.75, 1.0) * random.uniform(0.93, 1.07, 3)
    return ((1 + 0.1 * slope[..., None]) * colour).astype(np.float32)


def encode(frames: Frames) -> bytes:
    """H.264 in mp4: the same bytes for the same frames and library version.

    yuv444p keeps the colours of small objects; no B-frames, so that there is no edit list (decord misreads those); no
    look-ahead, with which one encoding in ten to a hundred gave other bytes for the same frames.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        options = {"crf": "10", "preset": "veryfast", "threads": "1", "bf": "0", "g": "8"}
        options["x264-params"] = "rc-lookahead=0:mbtree=0"
        stream = file.add_stream("libx264", rate=FRAMES_PER_SECOND, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv444p"
        stream.codec_context.time_base = Fraction(1, FRAMES_PER_SECOND)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return buffer.getvalue()


def render(job: tuple[Spec, str], clip: Clip) -> tuple[int, str]:
    """Write the clip's file below the folder; gives its size and sha256. `job`: the spec and the folder."""
    spec, folder = job
    content = encode(draw(spec, clip))
    write_unsynced(Path(folder) / clip.file, content)
    return len(content), hashlib.sha256(content).hexdigest()
