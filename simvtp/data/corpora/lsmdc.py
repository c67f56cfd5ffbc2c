"""LSMDC: tab-separated files without header line: clip id, four times, sentence; videos/{movie}/{clip id}.avi."""

from __future__ import annotations

import re
from pathlib import Path

from simvtp.data.annotations.records import Captions, Record, quoted
from simvtp.data.annotations.text_files import read_lines
from simvtp.data.annotations.video_files import first_folder, names_in, resolve_endings
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
    captions = Captions(path)
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path}, line {number} of those with text"
        fields = line.split("\t")
        if len(fields) != 6 or not fields[0].strip():
            raise DataError(
                f"{where}: clip id, four times and a sentence are needed, between tabs; there are {len(fields)} fields"
            )
        captions.add(*_without_stray_quote(fields[0].strip(), fields[5].strip()), where)
    folder = first_folder(root, ("videos",))
    movies = {name for name in names_in(folder) if (folder / name).is_dir()}
    clips = []
    for clip, texts in captions.by_video().items():
        match = _CLIP.fullmatch(clip)
        if not match:
            raise DataError(f"{path}: {quoted(clip)} is no clip id, which ends in its times, hh.mm.ss.mmm-hh.mm.ss.mmm")
        movie = match["movie"]
        clips.append((clip, f"{movie}/{clip}" if movie in movies else clip, texts))
    return resolve_endings(clips, folder), folder


def _without_stray_quote(clip: str, sentence: str) -> tuple[str, str]:
    """Some published lines begin with a quotation mark, a few of which are closed at the end of the line."""
    if not clip.startswith('"'):
        return clip, sentence
    if sentence.endswith('"') and sentence.count('"') % 2:
        sentence = sentence[:-1].replace('""', '"')
    return clip[1:], sentence
