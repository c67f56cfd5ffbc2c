"""Clips to read from: one made video, or a folder of copies of it with the list of them and a vocabulary."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import av
import numpy as np
from PIL import Image

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "moving", "texture", "with", "grain")


def make(path: Path, width: int, height: int) -> Path:
    """An H.264 file of 300 frames, 30 a second: moving texture with grain."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
    texture = np.asarray(coarse.resize((2 * width, 2 * height), Image.Resampling.BICUBIC)).astype(np.int16)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(300):
            top, left = (int(side / 2 * (1 + np.sin(number / rate))) for side, rate in ((height, 37), (width, 23)))
            pixels = texture[top : top + height, left : left + width] + random.integers(-6, 7, (height, width, 1))
            frame = av.VideoFrame.from_ndarray(pixels.clip(0, 255).astype(np.uint8), format="rgb24")
            file.mux(stream.encode(frame.reformat(format="yuv420p")))
        file.mux(stream.encode())
    return path


def clips(folder: Path, number: int, copies: bool = False) -> Path:
    """`folder`/clips.csv of so many clips (320x240, ten seconds): links to one file, or files of their own."""
    video = make(folder / "video.mp4", 320, 240)
    with (folder / "clips.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("video", "caption"))
        for k in range(number):
            path = folder / f"{k:03}.mp4"
            shutil.copy(video, path) if copies else os.link(video, path)
            rows.writerow((path.name, "a moving texture with grain"))
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return folder / "clips.csv"
