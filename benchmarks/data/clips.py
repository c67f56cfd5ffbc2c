"""A folder of clips to read from: copies of one video, the list of them, and a vocabulary."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

from benchmarks.data.decode import make

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "moving", "texture", "with", "grain")


def clips(folder: Path, number: int, copies: bool = False) -> Path:
    """`folder`/clips.csv of so many clips (320x240, ten seconds): links to one file, or files of their own."""
    video = make(folder / "video.mp4", 320, 240)
    with (folder / "clips.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("video", "caption"))
        for k in range(number):
            place = folder / f"{k:03}.mp4"
            shutil.copy(video, place) if copies else os.link(video, place)
            rows.writerow((place.name, "a moving texture with grain"))
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    return folder / "clips.csv"
