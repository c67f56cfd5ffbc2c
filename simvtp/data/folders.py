"""Where a corpus keeps its videos, and the file of a clip whose ending the annotations leave open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from simvtp.data.records import Record, inside

ENDINGS = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".flv", ".3gp", ".3g2", ".mts", ".wmv")


def first_folder(root: Path, names: Sequence[str]) -> Path:
    """The first of the folders below root that is there, else root itself."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def clip_name(file: str) -> str:
    """A file name without a video's ending; clip ids of LSMDC hold dots of their own, which stay."""
    ending = file[file.rfind(".") :].lower() if "." in file else ""
    return file[: -len(ending)] if ending in ENDINGS else file


def with_files(clips: Iterable[tuple[str, str, tuple[str, ...]]], root: Path) -> list[Record]:
    """(video id, path with or without ending, captions) -> records that name the file which is there.

    A file of exactly that name is taken. People re-encode their copies, so else the ending is looked up; of several,
    the first in `ENDINGS` is taken. A clip without file is named as .mp4, for `existing` to count or report. Raises
    DataError where a path leads outside.
    """
    listings: dict[str, dict[str, str]] = {}
    records = []
    for video_id, place, captions in clips:
        folder, _, name = place.rpartition("/")
        inside(root, place)
        if folder not in listings:
            listings[folder] = _files_by_clip(root / folder)
        there, clip = listings[folder], clip_name(name)
        file = there.get(name) or there.get(clip) or f"{clip}.mp4"
        records.append(Record(video_id, f"{folder}/{file}" if folder else file, captions))
    return records


def _files_by_clip(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    names = [entry.name for entry in folder.iterdir()]
    files = [name for name in names if name.lower().endswith(ENDINGS)]
    files.sort(key=lambda file: ENDINGS.index(file[file.rfind(".") :].lower()), reverse=True)
    return {clip_name(file): file for file in files} | {name: name for name in names}
