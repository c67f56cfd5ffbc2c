"""Clips of the embedded corpus as frames (numpy) and as H.264 files (PyAV).

What no caption names varies freely: size, angle, place, speed, ground, shades, noise, a shaking camera. Lengths are
in pixels of a 48-pixel frame and scale with the frame.
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

from simvtp.data.sprites.scenes import Clip, Spec, random_of
from simvtp.runtime.cache_dir import write_unsynced

Array = NDArray[np.float32]
Frames = NDArray[np.uint8]
Random = np.random.Generator

FRAMES_PER_SECOND = 8
RGB = {
    "red": (225, 30, 35),
    "orange": (250, 135, 15),
    "yellow": (245, 235, 50),
    "green": (40, 180, 50),
    "cyan": (45, 220, 225),
    "blue": (50, 75, 245),
    "pink": (245, 85, 205),
    "white": (240, 240, 240),
}
GROUNDS = ((24, 26, 38), (36, 26, 22), (20, 34, 26))
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}

# Signed distance from the outline, negative inside; x, y, radius r in pixels.
OUTLINES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "disc": lambda x, y, r: np.hypot(x, y) - 0.95 * r,
    "square": lambda x, y, r: np.maximum(abs(x), abs(y)) - 0.82 * r,
    "triangle": lambda x, y, r: np.maximum(0.866 * abs(x) - 0.5 * y, y) - 0.6 * r,
    "cross": lambda x, y, r: np.minimum(
        np.maximum(abs(x) - 0.3 * r, abs(y) - 1.1 * r), np.maximum(abs(x) - 1.1 * r, abs(y) - 0.3 * r)
    ),
    "ring": lambda x, y, r: abs(np.hypot(x, y) - 0.85 * r) - 0.22 * r,
    "bar": lambda x, y, r: np.maximum(abs(x) - 1.25 * r, abs(y) - 0.34 * r),
}


@dataclass(frozen=True)
class Track:
    """An object over time, arrays of [T]: centre and radius in pixels, visibility in [0, 1]; rgb is [T, 3]."""

    x: Array
    y: Array
    radius: Array
    visible: Array
    rgb: Array
    angle: float


def draw(spec: Spec, clip: Clip) -> Frames:
    """uint8 [T, H, W, 3], the same for the same spec and clip."""
    random = random_of(spec, "picture", clip.video_id)
    frames = _ground(spec, random)
    shake = random.uniform(-0.7, 0.7, (2, spec.frames)).astype(np.float32)
    if clip.beside:
        _paint(frames, clip.beside[0], _bystander(spec, clip.beside[1], random), shake)
    _paint(frames, clip.key.shape, _actor(spec, clip, random), shake)
    frames += random.standard_normal(frames.shape, dtype=np.float32) * random.uniform(0.5, 2.5)
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def _ground(spec: Spec, random: Random) -> Array:
    """A dark colour with a gradient in a random direction."""
    base = np.array(GROUNDS[random.integers(len(GROUNDS))], np.float32) + random.uniform(-6, 6, 3).astype(np.float32)
    side = np.linspace(-1, 1, spec.pixels, dtype=np.float32)
    turn = random.uniform(0, 2 * np.pi)
    slope = (np.cos(turn) * side[None, :] + np.sin(turn) * side[:, None]) * random.uniform(4, 14)
    ground = base + slope.astype(np.float32)[..., None]
    return np.repeat(ground[None], spec.frames, axis=0)


def _shade(colour: str, random: Random) -> Array:
    return np.clip(np.array(RGB[colour], np.float32) + random.uniform(-14, 14, 3), 0, 255).astype(np.float32)


def _actor(spec: Spec, clip: Clip, random: Random) -> Track:
    """The main object: it switches colour at 3/8 to 5/8 of the clip and moves as the key says."""
    key, count, unit = clip.key, spec.frames, spec.pixels / 48
    time = np.linspace(-0.5, 0.5, count, dtype=np.float32)
    switch = int(random.integers(count * 3 // 8, count * 5 // 8 + 1))
    rgb = np.where((np.arange(count) < switch)[:, None], _shade(key.first, random), _shade(key.second, random))
    radius = np.full(count, random.choice((10.5, 13.5)), np.float32)
    x, y = (np.full(count, value, np.float32) for value in random.uniform(19, 29, 2))
    visible = np.ones(count, np.float32)
    speed = random.uniform(16, 26)
    if key.motion in DIRECTIONS:
        right, down = DIRECTIONS[key.motion]
        x, y = x + right * speed * time, y + down * speed * time
    elif key.motion in ("grow", "shrink"):
        factor = 2 ** (time * random.uniform(1.3, 1.7) * (1 if key.motion == "grow" else -1))
        radius = radius * factor
    elif key.motion == "blink":
        period = max(1, count // 8)
        visible = ((np.arange(count) // period + random.integers(2)) % 2).astype(np.float32)
    angle = random.uniform(-0.35, 0.35)
    return Track(x * unit, y * unit, radius * unit, visible, rgb.astype(np.float32), float(angle))


def _bystander(spec: Spec, colour: str, random: Random) -> Track:
    """A second object: small, plain, still, in a corner."""
    ones, unit = np.ones(spec.frames, np.float32), spec.pixels / 48
    x, y = (float(side + random.uniform(-2, 2)) * unit for side in random.choice((7, 41), 2))
    rgb = np.repeat(_shade(colour, random)[None], spec.frames, axis=0)
    return Track(ones * x, ones * y, ones * 4.5 * unit, ones, rgb, float(random.uniform(-0.35, 0.35)))


def _paint(frames: Array, shape: str, track: Track, shake: Array) -> None:
    """Blend an object into [T, H, W, 3], with smooth edges."""
    pixels = np.arange(frames.shape[1], dtype=np.float32) + 0.5
    across = pixels[None, None, :] - (track.x + shake[0])[:, None, None]
    along = pixels[None, :, None] - (track.y + shake[1])[:, None, None]
    cosine, sine = np.float32(np.cos(track.angle)), np.float32(np.sin(track.angle))
    distance = OUTLINES[shape](cosine * across + sine * along, cosine * along - sine * across,
                               track.radius[:, None, None])  # fmt: skip
    share = (np.clip(0.5 - distance, 0, 1) * track.visible[:, None, None])[..., None]
    frames += share * (track.rgb[:, None, None] - frames)


def encode(frames: Frames) -> bytes:
    """H.264 in mp4: the same bytes for the same frames and library version.

    yuv444p keeps the colours of small objects; no B-frames, so that there is no edit list (decord misreads those).
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        options = {"crf": "10", "preset": "veryfast", "threads": "1", "bf": "0", "g": "8"}
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
