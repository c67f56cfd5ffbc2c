"""The order in which an epoch shows its videos: a pure function of seed and epoch, whatever the number of processes.

shuffled: every video may come anywhere. shards: the shards of a packed corpus are shuffled, and so are the videos of
each window of eight shards, one window after another; then all reads of a time fall into a few files, which
`shard_prefetch` copies as wholes. A corpus that is not packed is shuffled. lengths: shuffled; then the videos of each
pool of sixteen batches are sorted by the length of the caption that the epoch shows, and its batches are shuffled, so
a batch has captions of similar length and little padding. That also chooses whose captions are contrasted with each
other.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from simvtp.data.corpora.registry import Sample
from simvtp.data.video.paths import file_on_disk

WINDOW = 8  # shards whose videos are shuffled among each other
POOL = 16  # batches that are made of the same videos, sorted by length


@dataclass(frozen=True)
class ShardWindow:
    """A run of an epoch's order whose videos lie in a few shards.

    shards: their tar files; end: the position behind the run, which begins where the window before ends.
    """

    shards: tuple[Path, ...]
    end: int


@dataclass(frozen=True)
class Epoch:
    """order: index of the sample at each position; windows: none where every video may come anywhere."""

    order: list[int]
    windows: tuple[ShardWindow, ...] = ()

    def window_of(self, position: int) -> int:
        """Number of the window that holds a position."""
        return bisect.bisect_right(self.windows, position, key=lambda window: window.end)


class EpochSampler:
    """The epochs of one training set.

    samples: the set. seed: of the order. kind: shuffled, shards or lengths. batch: samples of a step over all
    processes. length: tokens of the caption that (epoch, sample) shows; for lengths only. Attribute windows: how many
    an epoch has, 0 if it has none.
    """

    def __init__(
        self, samples: Sequence[Sample], seed: int, kind: str, batch: int, length: Callable[[int, int], int]
    ) -> None:
        self.count, self.seed, self.batch = len(samples), seed, batch
        self.length = length if kind == "lengths" else None
        self.shards = _by_shard(samples) if kind == "shards" else {}
        self.windows = -(-len(self.shards) // WINDOW)
        self.epoch = lru_cache(maxsize=2)(self._epoch)  # at the end of one, the next is fetched already

    def _epoch(self, number: int) -> Epoch:
        random = np.random.default_rng([self.seed, number])
        if self.length is not None:
            return Epoch(self._by_length(number, random, self.length))
        if not self.shards:
            return Epoch(random.permutation(self.count).tolist())
        names, order, windows = list(self.shards), list[int](), []
        drawn = random.permutation(len(names)).tolist()
        for first in range(0, len(drawn), WINDOW):
            shards = tuple(names[place] for place in drawn[first : first + WINDOW])
            members = [index for shard in shards for index in self.shards[shard]]
            order += random.permutation(members).tolist()
            windows.append(ShardWindow(shards, len(order)))
        return Epoch(order, tuple(windows))

    def _by_length(self, epoch: int, random: np.random.Generator, length: Callable[[int, int], int]) -> list[int]:
        shuffled: list[int] = random.permutation(self.count).tolist()
        whole = self.count - self.count % self.batch  # what is left over makes no batch
        order = list[int]()
        for first in range(0, whole, POOL * self.batch):
            pool = sorted(
                shuffled[first : min(first + POOL * self.batch, whole)], key=lambda index: length(epoch, index)
            )
            batches = [pool[start : start + self.batch] for start in range(0, len(pool), self.batch)]
            order += [index for place in random.permutation(len(batches)) for index in batches[place]]
        return order + shuffled[whole:]


def _by_shard(samples: Sequence[Sample]) -> dict[Path, list[int]]:
    """Samples of each shard; nothing if not all are in shards."""
    found: dict[Path, list[int]] = {}
    for index, sample in enumerate(samples):
        shard = file_on_disk(sample.path)
        if shard.suffix != ".tar":
            return {}
        found.setdefault(shard, []).append(index)
    return found
