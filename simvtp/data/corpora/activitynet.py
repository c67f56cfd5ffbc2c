"""ActivityNet Captions: train.json, val_1.json, {v_id: {timestamps, sentences}}; a paragraph a video.

The field tests on val_1; val_2 describes the same videos. So that no epoch is chosen on the test, "val" here is a
twentieth of train.json, by hash of the video id, and training leaves it out.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from simvtp.data.annotations.records import Captions, Record, field_of
from simvtp.data.annotations.text_files import read_json_file
from simvtp.data.annotations.video_files import first_folder, resolve_endings
from simvtp.errors import DataError

VALIDATION_SHARE = 0.05


def read(root: Path, split: str) -> tuple[list[Record], Path]:
    """Records of "train", "val" or "test", and the folder that their files count from."""
    path = root / ("val_1.json" if split == "test" else "train.json")
    content = read_json_file(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: no mapping of video ids at its top level; this is not ActivityNet Captions")
    captions = Captions(path)
    for video, entry in content.items():
        if split == "test" or is_held_out(video) == (split == "val"):
            sentences = field_of(entry, "sentences", f"{path}, {video}")
            if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
                raise DataError(f"{path}, {video}: the field 'sentences' is no list of texts")
            captions.add(video, " ".join(sentences), f"{path}, {video}")
    folder = first_folder(root, ("videos",))
    clips = [(video, video, texts) for video, texts in captions.by_video().items()]
    return resolve_endings(clips, folder), folder


def is_held_out(video: str) -> bool:
    """Whether a training video serves for validation instead."""
    digest = hashlib.blake2b(f"validation\0{video}".encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 < VALIDATION_SHARE
