"""DiDeMo: {split}_data.json, [{video, description, times}]; a video's descriptions are joined into one paragraph."""

from __future__ import annotations

from pathlib import Path

from simvtp.data.corpora.annotations import Record, clean, first_folder, read_json_file, text_field, with_files
from simvtp.errors import DataError


def read(root: Path, split: str) -> tuple[list[Record], Path]:
    """Records of "train", "val" or "test", and the folder that their files count from."""
    path = root / f"{split}_data.json"
    content = read_json_file(path)
    if not isinstance(content, list):
        raise DataError(f"{path}: no list at its top level; this is not DiDeMo's {path.name}")
    descriptions: dict[str, list[str]] = {}
    for i, entry in enumerate(content):
        where = f"{path}, entry {i}"
        description = clean(text_field(entry, "description", where))
        descriptions.setdefault(text_field(entry, "video", where), []).append(description)
    folder = first_folder(root, ("videos",))
    clips = [(video, video, (" ".join(texts),)) for video, texts in descriptions.items()]
    return with_files(clips, folder), folder
