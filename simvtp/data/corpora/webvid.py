"""WebVid: results_{2M,10M}_{train,val}.csv, in ROOT or ROOT/metadata, one caption a video.

Videos are ROOT/videos/{page_dir}/{videoid}.mp4, or all in ROOT/videos. Where both sets are there, 2M is taken.
"""

from __future__ import annotations

import os
from pathlib import Path

from simvtp.data.annotations.records import Captions, Record, quoted
from simvtp.data.annotations.text_files import read_rows
from simvtp.data.annotations.video_files import first_file
from simvtp.errors import DataError


def read(root: Path, split: str) -> tuple[list[Record], Path]:
    """Records of "train" or "val", and the folder that their files count from."""
    if split not in ("train", "val"):
        raise DataError(f"webvid:{root} has the splits train and val, not {split!r}; for retrieval use msrvtt:ROOT")
    folders = ("", "metadata/")
    path = first_file(root, [f"{folder}results_{size}_{split}.csv" for size in ("2M", "10M") for folder in folders])
    videos, captions, pages = root / "videos", Captions(path), dict[str, str]()
    for row in read_rows(path, ("videoid", "page_dir", "name"), may_be_empty=("name", "page_dir")):
        if row["videoid"] in pages:
            raise DataError(f"{path}: the video {quoted(row['videoid'])} is listed twice")
        pages[row["videoid"]] = row["page_dir"]
        captions.add(row["videoid"], row["name"], f"{path}, video {row['videoid']}")
    flat = _is_flat(videos)
    return [
        Record(video, f"{video}.mp4" if flat or not pages[video] else f"{pages[video]}/{video}.mp4", texts)
        for video, texts in captions.by_video().items()
    ], videos


def _is_flat(videos: Path) -> bool:
    """Whether the folder holds files and no folder."""
    try:
        kinds = [entry.is_dir() for entry in os.scandir(videos)]
    except OSError:
        return False
    return bool(kinds) and not any(kinds)
