"""DiDeMo: {split}_data.json, [{video, description, times}]; a video's descriptions are joined into one paragraph.

Published figures are on the videos of val_list.txt (1065) and test_list.txt (1004), fewer than the JSON files have
(1094, 1037). Where {split}_list.txt lies beside the JSON, only its videos are taken.
"""

from __future__ import annotations

import logging
from pathlib import Path

from simvtp.data.annotations.records import Captions, Record, field_of, quoted, text_field
from simvtp.data.annotations.text_files import read_json_file, read_lines
from simvtp.data.annotations.video_files import first_folder, resolve_endings, without_ending
from simvtp.errors import DataError

log = logging.getLogger(__name__)


def read(root: Path, split: str) -> tuple[list[Record], Path]:
    """Records of "train", "val" or "test", and the folder that their files count from."""
    path = root / f"{split}_data.json"
    content = read_json_file(path)
    if not isinstance(content, list):
        raise DataError(f"{path}: no list at its top level; this is not DiDeMo's {path.name}")
    captions = Captions(path)
    for i, entry in enumerate(content):
        where = f"{path}, entry {i}"
        captions.add(text_field(entry, "video", where), field_of(entry, "description", where), where)
    videos = _listed(captions.by_video(), root / f"{split}_list.txt", path)
    folder = first_folder(root, ("videos",))
    return resolve_endings([(video, video, (" ".join(texts),)) for video, texts in videos.items()], folder), folder


def _listed(videos: dict[str, tuple[str, ...]], path: Path, annotations: Path) -> dict[str, tuple[str, ...]]:
    """The videos that the list names, with or without ending; all if there is no list.

    Raises DataError if the list names a video without description.
    """
    if not path.is_file():
        if not path.name.startswith("train"):
            log.warning("%s: no %s beside it, so all %d videos are taken; published figures are on the list's",
                        annotations, path.name, len(videos))  # fmt: skip
        return videos
    names = {without_ending(line.strip()) for line in read_lines(path)}
    kept = {video: texts for video, texts in videos.items() if without_ending(video) in names}
    if len(kept) < len(names):
        unknown = sorted(names - {without_ending(video) for video in kept})
        raise DataError(
            f"{path}: {len(unknown)} of its videos are not in {annotations.name}, such as {quoted(unknown[0])}"
        )
    log.info("%s: %d of %d videos are in %s", annotations, len(kept), len(videos), path.name)
    return kept
