"""Decoded frames of the embedded corpus: one memory map in the cache folder, made once and shared by every run.

Other corpora are decoded from their files: their videos differ in length and size, and may need more room than there
is.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simvtp.data.corpora.corpus import Corpus
from simvtp.data.video.paths import file_on_disk
from simvtp.data.video.video import Video
from simvtp.errors import DataError
from simvtp.runtime.cache_dir import cache_folder, wait_for
from simvtp.runtime.files import read_json, write_json
from simvtp.runtime.worker_pool import each

log = logging.getLogger(__name__)

# Raised when the same files give other frames.
VERSION = 1
OFF = "switch it off with machine.frame_cache=false"


def is_cached(corpus: Corpus) -> bool:
    """Whether machine.frame_cache applies: to the embedded corpus, where no file is missing."""
    return corpus.name.startswith("sprites:") and all(sample.exists for sample in corpus.samples)


def open_frames(paths: Sequence[Path], what: str) -> NDArray[np.uint8]:
    """uint8 [N, T, H, W, 3], read-only: every frame of every video, which must all have one length and size.

    Made where it is not there, and again where a video has changed since (its size or time of change). `what` names
    the corpus in messages. Raises DataError: a video that cannot be decoded or differs from the others in length or
    size, no room on the disk.
    """
    folder = cache_folder() / "frames"
    name = _digest([VERSION, *map(str, paths)])
    file, record = folder / f"{name}.npy", folder / f"{name}.json"
    sources = _digest([_stamp(path) for path in paths])
    if not _is_whole(file, record, sources):
        with wait_for(folder / f"{name}.lock", f"decoded frames of {what}"):
            if not _is_whole(file, record, sources):
                record.unlink(missing_ok=True)
                shape = _make(paths, file, what)
                size = file.stat().st_size
                write_json(record, {"bytes": size, "sources": sources, "corpus": what, "shape": shape})
                log.info("decoded frames of %s: %.0f MB in %s", what, size / 1e6, file)
    return np.load(file, mmap_mode="r")


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = file_on_disk(path).stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    return found.st_size, found.st_mtime_ns


def _is_whole(file: Path, record: Path, sources: str) -> bool:
    """Whether the record, written last, is of these videos as they are now and the file has the size that it says."""
    try:
        found = read_json(record)
        return bool(found["sources"] == sources and found["bytes"] == file.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _make(paths: Sequence[Path], file: Path, what: str) -> tuple[int, ...]:
    """Decode every video, in parallel, and move the whole file into place; gives its shape."""
    first = Video(paths[0])
    shape = (len(paths), *first.frames(range(first.frame_count)).shape)
    partial = file.with_suffix(".partial")
    np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
    _reserve(partial)
    jobs = list(enumerate(map(str, paths)))
    try:
        for _ in each(decode_into, str(partial), jobs, f"decoding {what} once"):
            pass
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return shape


def _reserve(file: Path) -> None:
    """Take the room on the disk now: writing to a memory map on a full disk kills the process without a word."""
    with file.open("r+b") as opened:
        size = opened.seek(0, os.SEEK_END)
        try:
            os.posix_fallocate(opened.fileno(), 0, size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                return  # a file system that cannot reserve
            file.unlink()
            raise DataError(
                f"{file.parent}: no room for {size / 1e6:.0f} MB of decoded frames; make room, choose another folder "
                f"with the environment variable SIMVTP_CACHE, or {OFF}"
            ) from error


def decode_into(partial: str, job: tuple[int, str]) -> None:
    """Write every frame of one video into its row of the memory map."""
    row, path = job
    rows = np.lib.format.open_memmap(partial, mode="r+")
    video = Video(Path(path))
    if video.frame_count != rows.shape[1]:
        raise DataError(
            f"{path}: {video.frame_count} frames where the others have {rows.shape[1]}; the frame cache takes "
            f"videos of one length and size only: {OFF}"
        )
    frames = video.frames(range(video.frame_count))
    if frames.shape != rows.shape[1:]:
        raise DataError(
            f"{path}: {frames.shape[2]} x {frames.shape[1]} pixels where the others have {rows.shape[3]} x "
            f"{rows.shape[2]}; the frame cache takes videos of one length and size only: {OFF}"
        )
    rows[row] = frames
