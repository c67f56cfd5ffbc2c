"""LSMDC: tab-separated files without header line: clip id, four times, sentence; videos/{movie}/{clip id}.avi."""

from __future__ import annotations

import re
from pathlib import Path

from simvtp.data.corpora.annotations import Record, clean, first_folder, read_lines, with_files
from simvtp.errors import DataError

FILES = {
    "train": "LSMDC16_annos_training.csv",
    "val": "LSMDC16_annos_val.csv",
    "test": "LSMDC16_challenge_1000_publictect.csv",
}
_CLIP = re.compile(r"(?P<movie>.+)_\d\d\.\d\d\.\d\d\.\d+-\d\d\.\d\d\.\d\d\.\d+")


def read(root: Path, split: str) -> tuple[list[Record], Path]:
    """Records of "train", "val" or "test", and the folder that their files count from: by movie, or all in one."""
    path = root / FILES[split]
    captions: dict[str, list[str]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split("\t")
        if len(fields) != 6 or not fields[0].strip() or not fields[5].strip():
            raise DataError(
                f"{path}, line {number} of those with text: clip id, four times and a sentence are needed, between "
                f"tabs; there are {len(fields)} fields"
            )
        captions.setdefault(fields[0].strip(), []).append(clean(fields[5]))
    folder = first_folder(root, ("videos",))
    movies = {entry.name for entry in folder.iterdir() if entry.is_dir()}
    clips = []
    for clip, texts in captions.items():
        match = _CLIP.fullmatch(clip)
        if not match:
            raise DataError(f"{path}: {clip!r} is no clip id, which ends in its times, hh.mm.ss.mmm-hh.mm.ss.mmm")
        movie = match["movie"]
        clips.append((clip, f"{movie}/{clip}" if movie in movies else clip, tuple(texts)))
    return with_files(clips, folder), folder
