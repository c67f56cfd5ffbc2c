"""MSVD: {train,val,test}_list.txt with a video id a line, raw-captions.pkl; every caption is a query of its own."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from simvtp.data.annotations.records import Captions, Record, quoted
from simvtp.data.annotations.text_files import read_lines
from simvtp.data.annotations.video_files import first_folder, resolve_endings
from simvtp.errors import DataError

CAPTIONS = "raw-captions.pkl"


def read(root: Path, split: str) -> tuple[list[Record], Path]:
    """Records of "train", "val" or "test", and the folder that their files count from."""
    path = root / CAPTIONS
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: no mapping of video ids to captions; this is not MSVD's {CAPTIONS}")
    listed = [line.strip() for line in read_lines(root / f"{split}_list.txt")]
    captions = Captions(path)
    for video in dict.fromkeys(listed):
        _add(captions, content.get(video), video, path)
    videos = captions.by_video()
    folder = first_folder(root, ("videos", "YouTubeClips", "MSVD_Videos"))
    return resolve_endings([(video, video, videos[video]) for video in listed if video in videos], folder), folder


def _add(captions: Captions, entries: Any, video: str, path: Path) -> None:
    """Add the captions of a video, each of them text or a list of words."""
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{path}: no list of captions for the video {quoted(video)}")
    for i, entry in enumerate(entries):
        words = [entry] if isinstance(entry, str) else entry
        if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
            raise DataError(f"{path}: caption {i} of the video {quoted(video)} is neither text nor a list of words")
        captions.add(video, " ".join(words), f"{path}, {video}")


class _PlainValues(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only plain values are read")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError(f"it refers to the outside object {pid!r}, and only plain values are read")


def read_pickle(path: Path) -> Any:
    """The plain value of a pickle file, of Python 2 as well; raises DataError that names the file."""
    try:
        with path.open("rb") as file:
            return _PlainValues(file, encoding="utf-8").load()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    except Exception as error:  # damaged pickles raise nearly anything, IndexError and KeyError among it
        raise DataError(f"{path} is refused or damaged as a pickle: {str(error) or type(error).__name__}") from error
