"""Video files of a corpus: paths below its folder, extensions, and which files exist."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from simvtp.data.annotations.records import Record, quoted, shortened
from simvtp.data.video.paths import file_on_disk
from simvtp.errors import DataError

log = logging.getLogger(__name__)

# Of containers that the readers take. Where an annotation names no ending, the first whose file exists.
ENDINGS = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".flv", ".3gp", ".3g2", ".mts", ".wmv",
           ".mpeg", ".asf", ".ogv", ".ts", ".m2ts", ".vob", ".f4v", ".divx", ".mxf", ".dv", ".rm", ".rmvb")  # fmt: skip
# Of files that are read too, but not looked up: GIFs are previews beside videos, and ids of clips end in digits.
_ALSO = (".gif", ".apng", ".ogg", ".ogm", ".m1v", ".m2v", ".h264", ".264", ".h265", ".265", ".hevc", ".ivf", ".obu",
         ".y4m", ".mjpeg", ".mjpg", ".nut")  # fmt: skip
_NAMED = 20  # files in one message


def path_below(root: Path, file: str) -> Path:
    """root / file; raises DataError if that leads out of root."""
    pure = PurePath(file)
    if "\0" in file:
        raise DataError(
            f"{root}: the path {quoted(file)} of an annotation holds a NUL byte; the file is damaged, or no UTF-8"
        )
    if pure.is_absolute() or ".." in pure.parts:
        raise DataError(f"{root}: the path {quoted(file)} of an annotation leads outside this folder, which is refused")
    return root / pure


def names_in(folder: Path) -> set[str]:
    """Names of all that lies in a folder; none where it does not exist. Raises DataError if it may not be read."""
    try:
        return {entry.name for entry in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except (OSError, ValueError) as error:
        raise DataError(f"the folder {folder} cannot be read ({getattr(error, 'strerror', None) or error})") from error


def find_videos(
    records: Sequence[Record], root: Path, *, strict: bool, corpus: str
) -> tuple[list[tuple[Record, Path]], list[Path]]:
    """Records whose file is there, with its path; and the paths where the others should be.

    strict: raise DataError that names missing files. corpus: its name in messages.
    """
    paths = [path_below(root, record.file) for record in records]
    files = [file_on_disk(path) for path in paths]
    # one listing a folder: millions of single look-ups are slow
    names = {folder: _names_or_none(folder) for folder in {file.parent for file in files}}
    there = [file.name in names[file.parent] for file in files]
    found = [pair for pair, exists in zip(zip(records, paths, strict=True), there, strict=True) if exists]
    missing = [root / record.file for record, exists in zip(records, there, strict=True) if not exists]
    if missing and strict:
        shown = ", ".join(map(shortened, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise DataError(
            f"{corpus}: {len(missing)} of {len(records)} videos are missing: {shown}. Figures of an "
            "incomplete gallery cannot be compared with others, so all must be there; data.missing=miss counts them as "
            "not found"
        )
    return found, missing


def _names_or_none(folder: Path) -> set[str]:
    """`names_in`, where a folder whose own name is too long holds nothing either."""
    return names_in(folder) if all(len(part.encode(errors="surrogateescape")) < 256 for part in folder.parts) else set()


def videos_below(folder: Path, option: str = "") -> list[Path]:
    """Every file below a folder that is named as a video, sorted; how many others there are is logged, by ending.

    option: of the command line that gave the folder, for messages. Raises DataError if there is none.
    """
    if not folder.is_dir():
        raise DataError(f"{option}{folder} is no folder")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    videos = [path for path in files if path.suffix.lower() in (*ENDINGS, *_ALSO)]
    others = Counter(path.suffix.lower() or "no ending" for path in files) - Counter(p.suffix.lower() for p in videos)
    if others:
        shown = ", ".join(f"{count} of {ending}" for ending, count in others.most_common(_NAMED))
        log.info("%d files of %s are not named as videos and are skipped: %s", others.total(), folder, shown)
    if not videos:
        raise DataError(f"{option}{folder} holds no video ({', '.join((*ENDINGS, *_ALSO))})")
    return videos


def named(files: Sequence[object]) -> str:
    """The first files, or what is wrong with them, for a message, and how many more there are."""
    more = f"; and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return "; ".join(map(str, files[:_NAMED])) + more


def first_folder(root: Path, names: Sequence[str]) -> Path:
    """The first of the folders below root that is there, else root itself."""
    return next((root / name for name in names if (root / name).is_dir()), root)


def first_file(root: Path, names: Sequence[str]) -> Path:
    """The first of the files below root that is there; where none is, the first of them, for an error to name."""
    return next((root / name for name in names if (root / name).is_file()), root / names[0])


def without_ending(file: str) -> str:
    """A file name without a video's ending; clip ids of LSMDC hold dots of their own, which stay."""
    ending = file[file.rfind(".") :].lower() if "." in file else ""
    return file[: -len(ending)] if ending in ENDINGS else file


def resolve_endings(clips: Iterable[tuple[str, str, tuple[str, ...]]], root: Path) -> list[Record]:
    """(video id, path with or without ending, captions) -> records that name the file which is there.

    A file of exactly that name is taken. People re-encode their copies, so else the ending is looked up; of several,
    the first in `ENDINGS` is taken. A clip without file is named as .mp4, for `find_videos` to count or report. Raises
    DataError where a path leads outside.
    """
    listings: dict[str, dict[str, str]] = {}
    records = []
    for video_id, place, captions in clips:
        folder, _, name = place.rpartition("/")
        path_below(root, place)
        if folder not in listings:
            listings[folder] = _files_by_clip(root / folder)
        files, clip = listings[folder], without_ending(name)
        file = files.get(name) or files.get(clip) or f"{clip}.mp4"
        records.append(Record(video_id, f"{folder}/{file}" if folder else file, captions))
    return records


def _files_by_clip(folder: Path) -> dict[str, str]:
    names = _names_or_none(folder)
    files = [name for name in names if name.lower().endswith(ENDINGS)]
    files.sort(key=lambda file: ENDINGS.index(file[file.rfind(".") :].lower()), reverse=True)
    return {without_ending(file): file for file in files} | {name: name for name in names}
