"""Training videos to leave out: the list that `python -m simvtp.data.check --deep` writes and data.skip names.

A line: kind of corpus, path of the video as the corpus lists it, and why, separated by tabs.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

from simvtp.config.file_digests import pin, split
from simvtp.data.annotations.text_files import read_lines
from simvtp.errors import DataError
from simvtp.runtime.files import expanded, write_bytes

log = logging.getLogger(__name__)


def skipped(skip: str, kind: str) -> set[str]:
    """The paths that a list names for corpora of this kind; raises DataError, also where a digest is another."""
    return {file for of, file in _entries(Path(split(pinned(skip))[0])) if of == kind} if skip else set()


def pinned(skip: str) -> str:
    """data.skip with its absolute path and a digest of its entries, whatever their order and reasons.

    Raises DataError if it cannot be read, ConfigError where it is not what its digest says.
    """
    if not skip:
        return skip
    place, given = split(skip)
    path = expanded(place).absolute()
    return pin("data.skip", f"{path}#{given}" if given else str(path), _digest(path))


def write(path: Path, kind: str, bad: Iterable[tuple[str, str]]) -> None:
    """Write the list: (file, why) of one kind of corpus; what it holds of other kinds stays.

    A name with a tab or a line break does not fit into a line; it is left out, and counted in the log.
    """
    kept = [line for line in read_lines(path) if line.partition("\t")[0] != kind] if path.exists() else []
    odd = 0
    for file, why in bad:
        if set(file) & set("\t\r\n"):
            odd += 1
        else:
            kept.append("\t".join((kind, file, " ".join(why.split()))))
    if odd:
        log.warning("%s: %d videos with a tab or a line break in their name cannot be listed", path, odd)
    write_bytes(path, "".join(f"{line}\n" for line in kept).encode(errors="backslashreplace"))


def _digest(path: Path) -> str:
    text = "\n".join(sorted("\t".join(entry) for entry in set(_entries(path))))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _entries(path: Path) -> list[tuple[str, str]]:
    found = []
    for number, line in enumerate(read_lines(path), start=1):
        kind, _, rest = line.partition("\t")
        file = rest.partition("\t")[0]
        if not file:
            raise DataError(f"data.skip: {path}, line {number}: no tab between kind of corpus and path of the video")
        found.append((kind, file))
    return found
