"""ActivityNet Captions: train.json, val_1.json, {v_id: {timestamps, sentences}}; a paragraph a video.

The field tests on val_1, and val_2 tells of the same videos. So that no epoch is chosen on the test, "val" here is a
twentieth of train.json, by hash of the video id, and training leaves it out.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from simvtp.data.corpora.annotations import Record, clean, first_folder, read_json_file, with_files
from simvtp.errors import DataError

VALIDATION_SHARE = 0.05


def read(root: Path, split: str) -> tuple[list[Record], Path]:
    """Records of "train", "val" or "test", and the folder that their files count from."""
    path = root / ("val_1.json" if split == "test" else "train.json")
    content = read_json_file(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: no mapping of video ids at its top level; this is not ActivityNet Captions")
    ids = [video for video in content if split == "test" or held_out(video) == (split == "val")]
    folder = first_folder(root, ("videos",))
    clips = [(video, video, (_paragraph(content[video], f"{path}, {video}"),)) for video in ids]
    return with_files(clips, folder), folder


def held_out(video: str) -> bool:
    """Whether a training video serves for validation instead."""
    digest = hashlib.blake2b(f"validation\0{video}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 < VALIDATION_SHARE


def _paragraph(entry: Any, where: str) -> str:
    sentences = entry.get("sentences") if isinstance(entry, dict) else None
    if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
        raise DataError(f"{where}: the field 'sentences' is missing or no list of texts")
    paragraph = clean(" ".join(sentences))
    if not paragraph:
        raise DataError(f"{where}: the field 'sentences' holds no text")
    return paragraph
