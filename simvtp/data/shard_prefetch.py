"""Prefetching of shards: whole shards are copied from a slow disk before the steps that use their videos.

One process of each machine has a thread that copies the shards of the current and the next window (`sampler`) to a
folder on a fast disk, for itself, its workers and the other processes of the machine; what has been shown is deleted.
A step that was given out is done in all of them, so no process still reads what is deleted. Which videos a step shows
does not depend on any of this.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from simvtp.data.sampler import ShardWindow
from simvtp.distributed.process_group import lists
from simvtp.errors import ConfigError, DataError
from simvtp.runtime.files import folder_to_make
from simvtp.runtime.locks import Lock, holder
from simvtp.runtime.permissions import explained, make_folder

BLOCK = 8 * 2**20  # bytes of one read
POLL_SECONDS = 0.01
WORKING = "fetching"  # a file that is there as long as windows will come
MARKER = ".simvtp-shards"  # a file that is in the folder that this program makes, and deletes in
LOCKS = re.compile(r"[0-9a-f]{12}\.lock")


class ShardCopies:
    """The copies: windows of shards in `folder`, each there as a whole or not at all, counted over all epochs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._process = folder, os.getpid()

    def wait(self, window: int) -> None:
        """Until the window is there; raises DataError if it will not come."""
        while not (self.folder / str(window)).is_dir():
            orphan = self._process not in (os.getpid(), os.getppid())  # a worker whose training process was killed
            if orphan or not (self.folder / WORKING).exists():
                raise DataError(f"machine.stream: no more shards come to {self.folder}; another message says why")
            time.sleep(POLL_SECONDS)

    def path(self, window: int, original: Path) -> Path:
        """Where the copy of a member of the window lies."""
        return self.folder / str(window) / Path(*original.parts[-3:])


class ShardFetcher:
    """The thread that copies windows and deletes them; `show` says which ones are in use.

    copies: where to. shards: number of a window -> the window. first, last: windows that are needed at first.
    Attribute error: why it stopped, where it did before its end.
    """

    def __init__(self, copies: ShardCopies, shards: Callable[[int], ShardWindow], first: int, last: int) -> None:
        self.copies, self._shards, self.error = copies, shards, ""
        self._ended, self._told = False, threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(first,), daemon=True)
        self.show(first, last)

    def show(self, first: int, last: int) -> None:
        """Windows `first` to `last` are needed next, and none before; the one after `first` is copied ahead."""
        with self._told:
            self._first, self._last = first, max(first + 1, last)
            self._told.notify()

    def __enter__(self) -> ShardFetcher:
        self.copies.folder.mkdir()
        (self.copies.folder / WORKING).touch()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._told:
            self._ended = True
            self._told.notify()
        self._thread.join()
        shutil.rmtree(self.copies.folder)

    def _run(self, window: int) -> None:
        there: list[int] = []
        try:
            while self._is_wanted(window):
                while there and there[0] < self._first:
                    shutil.rmtree(self.copies.folder / str(there.pop(0)))
                _clear(self.copies.folder.parent)
                if window >= self._first and self._copied(window):
                    there.append(window)
                window += 1
        except OSError as error:
            self.error = f"machine.stream: a shard cannot be copied to {self.copies.folder} ({error})"
            (self.copies.folder / WORKING).unlink()  # takes no room, as a message in a file would

    def _is_wanted(self, window: int) -> bool:
        """True as soon as the window is wanted, False when the end comes first."""
        with self._told:
            while not self._ended and window > self._last:
                self._told.wait()
            return not self._ended

    def _copied(self, window: int) -> bool:
        """Copy a window; False if the end came first."""
        half = self.copies.folder / f".{window}"
        half.mkdir()
        for shard in self._shards(window).shards:
            with shard.open("rb", buffering=0) as source, (half / shard.name).open("wb", buffering=0) as copy:
                while block := source.read(BLOCK):
                    if self._ended:
                        return False
                    copy.write(block)
        half.rename(self.copies.folder / str(window))
        return True


@contextmanager
def shards_prefetched(
    place: str, shards: Callable[[int], ShardWindow], first: int, last: int
) -> Iterator[tuple[ShardCopies, ShardFetcher | None]]:
    """Copies below the folder `place`, and the thread that makes those of windows `first` to `last`, and later ones as
    it is told, where that runs in this process. What a killed process left there is deleted first.
    """
    base, token = _own_folder(_named_folder(place)), uuid.uuid4().hex[:12]
    machine = socket.gethostname()
    told = lists([f"{machine}\t{token}"])
    leader = next(entry for entry in told if entry.startswith(f"{machine}\t")).partition("\t")[2]
    copies = ShardCopies(base / leader)
    if leader != token:
        lists([])  # until the leader has begun
        yield copies, None
        return
    with Lock(base / f"{token}.lock"), ShardFetcher(copies, shards, first, last) as fetcher:
        lists([])
        yield copies, fetcher


def _named_folder(place: str) -> Path:
    """The folder of machine.stream, with ~ and variables of the environment in place; raises ConfigError."""
    whole = os.path.expandvars(place)
    if unset := re.search(r"\$(\w+|\{[^}]*\})", whole):
        raise ConfigError(
            f"machine.stream: {place!r} holds {unset[0]}, which is not set here; set it, or write the path"
        )
    return folder_to_make(whole, "machine.stream").absolute()


def _own_folder(place: Path) -> Path:
    """The folder of this user below `place`, made by this program and marked so; everything is deleted only in there.

    Raises DataError if a folder of that name is there without the mark, or is another user's, or a link.
    """
    folder = place / f"simvtp-shards-{os.getuid()}"
    make_folder(place)
    try:
        if not os.path.lexists(folder):
            new = place / f".{folder.name}.{uuid.uuid4().hex}"
            new.mkdir(0o700)
            (new / MARKER).touch()
            try:
                new.rename(folder)
            except OSError:
                shutil.rmtree(new)  # another process has made it just now
        if folder.is_symlink() or folder.stat().st_uid != os.getuid() or not (folder / MARKER).is_file():
            raise DataError(
                f"machine.stream: {folder} was not made by this program; move it away, or name another folder"
            )
    except OSError as error:
        raise explained(error, folder) from error
    return folder


def _clear(folder: Path) -> None:
    """Delete what processes that died left in the folder of `_own_folder`: names of our own without a live owner."""
    for lock in folder.iterdir():
        if LOCKS.fullmatch(lock.name) and holder(lock) is None:
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
