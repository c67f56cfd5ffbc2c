"""Features of the videos of a folder, stored on disk: a model encodes each video once, by its content."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from simvtp.data.annotations.video_files import named, videos_below
from simvtp.errors import DataError
from simvtp.inference.retriever import SimVTP
from simvtp.runtime.cache_dir import cache_folder
from simvtp.runtime.files import read_json

log = logging.getLogger(__name__)

EVERY = 50  # videos from one line about progress to the next

_TABLES = """
create table if not exists files (path text primary key, size integer, changed integer, digest text not null);
create table if not exists features (digest text primary key, vector blob not null);
"""


def index_file(model_folder: Path) -> Path:
    """Where features of this model are kept: by its weights and what it does with them, not by its path or scores."""
    weights = model_folder / "model.safetensors"
    if not weights.is_file():
        raise DataError(f"--model: {model_folder} is no model folder: it has no model.safetensors")
    about = read_json(model_folder / "config.json")
    seen = {key: value for key, value in about["config"].items() if key.partition(".")[0] in ("model", "evaluate")}
    content = [_digest(weights), about["kind"], sorted(seen.items()), about["config"]["finetune.precision"]]
    whole = hashlib.sha256(repr(content).encode())
    return cache_folder() / "search" / f"{whole.hexdigest()[:16]}.sqlite"


def features(retriever: SimVTP, folder: Path, index: Path) -> tuple[list[Path], Tensor]:
    """Videos that can be decoded and their unit vectors [N, D]; those in the index are not decoded.

    Every vector is kept as soon as it is there, so a call that is cut off is continued by the next. A video that
    cannot be decoded is named in the log, counted, and tried again by the next call. Raises DataError if the index
    is damaged or cannot be written.
    """
    paths, vectors, broken = [], [], []
    try:
        index.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(index, timeout=60)) as store:
            store.executescript(_TABLES)
            for path, vector in _each(retriever, videos_below(folder, "--videos: "), store):
                if isinstance(vector, DataError):
                    broken.append(str(vector))
                else:
                    paths.append(path)
                    vectors.append(torch.from_numpy(np.frombuffer(vector, np.float32).copy()))
    except sqlite3.OperationalError as error:
        raise DataError(f"the index {index} cannot be used ({error}); see SIMVTP_CACHE for another place") from error
    except (sqlite3.DatabaseError, OSError) as error:
        raise DataError(
            f"the index {index} is damaged or cannot be reached ({error}); remove it, and the next search makes it anew"
        ) from error
    if broken:
        log.warning("%d of %d videos left out: %s", len(broken), len(broken) + len(paths), named(broken))
    if not paths:
        raise DataError(f"--videos: none of the videos of {folder} can be decoded")
    return paths, torch.stack(vectors)


def _each(retriever: SimVTP, paths: list[Path], store: sqlite3.Connection) -> Iterator[tuple[Path, bytes | DataError]]:
    encoded = 0
    for number, path in enumerate(paths, start=1):
        digest = _known_digest(path, store)
        row = store.execute("select vector from features where digest = ?", (digest,)).fetchone()
        if row is None:
            try:
                vector = retriever.encode_video([path])[0].numpy().astype(np.float32).tobytes()
            except DataError as error:
                yield path, error
                continue
            with store:
                store.execute("insert or ignore into features values (?, ?)", (digest, vector))
            encoded += 1
            if encoded % EVERY == 0:
                log.info("indexed %d of %d videos", number, len(paths))
        else:
            vector = row[0]
        yield path, vector
    if encoded:
        log.info("indexed %d new videos of %d", encoded, len(paths))


def _known_digest(path: Path, store: sqlite3.Connection) -> str:
    """sha256 of a file's content; read again only where its size or time of change is another."""
    name, stat = str(path.resolve()), path.stat()
    stamp = (stat.st_size, stat.st_mtime_ns)
    row = store.execute("select size, changed, digest from files where path = ?", (name,)).fetchone()
    if row is not None and row[:2] == stamp:
        return str(row[2])
    digest = _digest(path)
    with store:
        store.execute("insert or replace into files values (?, ?, ?, ?)", (name, *stamp, digest))
    return digest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
