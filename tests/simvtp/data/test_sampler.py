"""Every video once an epoch; in the order of shards, window after window."""

from pathlib import Path

import numpy as np
import pytest

from simvtp.data import sampler
from simvtp.data.corpora.registry import Sample
from simvtp.data.sampler import EpochSampler


def no_length(epoch: int, index: int) -> int:
    raise AssertionError(f"nobody needs the length of {index} in epoch {epoch}")


def packed(shards: int, videos: int) -> list[Sample]:
    """Sample i is in shard i // videos."""
    return [
        Sample(f"v{i}", Path(f"/c/train/{i // videos:06d}.tar/512+9/{i:09d}.mp4"), ("a",))
        for i in range(shards * videos)
    ]


def test_without_shards_every_video_may_come_anywhere() -> None:
    samples = [Sample(f"v{i}", Path(f"/c/{i}.mp4"), ("a",)) for i in range(50)]
    for kind in ("shuffled", "shards"):  # the second is of packed corpora only
        order = EpochSampler(samples, 7, kind, 10, no_length)
        assert order.windows == 0
        assert order.epoch(3).order == np.random.default_rng([7, 3]).permutation(50).tolist()


def test_shards_come_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "WINDOW", 3)
    order = EpochSampler(packed(7, 10), 7, "shards", 10, no_length)
    assert order.windows == 3
    epochs = [order.epoch(number) for number in range(4)]
    assert len({tuple(epoch.order) for epoch in epochs}) == 4
    assert len({epoch.windows[0].shards for epoch in epochs}) == 4
    for epoch in epochs:
        assert sorted(epoch.order) == list(range(70))
        assert [window.end for window in epoch.windows] == [30, 60, 70]
        assert [epoch.window_of(place) for place in (0, 29, 30, 59, 60, 69)] == [0, 0, 1, 1, 2, 2]
        assert len({shard for window in epoch.windows for shard in window.shards}) == 7
        for window, first in zip(epoch.windows, (0, 30, 60), strict=True):
            shown = epoch.order[first : window.end]
            assert {f"{index // 10:06d}.tar" for index in shown} == {shard.name for shard in window.shards}
        assert len({index // 10 for index in epoch.order[:10]}) > 1  # shuffled across the shards of a window
    again = EpochSampler(packed(7, 10), 7, "shards", 10, no_length)
    assert [again.epoch(number) for number in (3, 0)] == [epochs[3], epochs[0]]
    assert EpochSampler(packed(7, 10), 8, "shards", 10, no_length).epoch(0) != epochs[0]


def test_by_length_a_batch_has_neighbours_of_its_sorted_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "POOL", 3)
    samples = [Sample(f"v{i}", Path(f"/c/{i}.mp4"), ("a",)) for i in range(33)]

    def length(epoch: int, index: int) -> int:
        return (index * 7 + epoch) % 11

    order = EpochSampler(samples, 7, "lengths", 5, length)
    assert order.windows == 0
    starts = []
    for epoch in range(4):
        shown = order.epoch(epoch).order
        shuffled = np.random.default_rng([7, epoch]).permutation(33).tolist()
        assert shown[30:] == shuffled[30:]  # no whole batch
        for first in (0, 15):
            pool = sorted(shuffled[first : first + 15], key=lambda index, epoch=epoch: length(epoch, index))
            batches = [shown[start : start + 5] for start in range(first, first + 15, 5)]
            assert sorted(batches) == sorted([pool[:5], pool[5:10], pool[10:]])
            starts.append([pool.index(batch[0]) for batch in batches])
    assert len({tuple(places) for places in starts}) > 1  # short ones do not always come first
    assert EpochSampler(samples, 7, "lengths", 5, length).epoch(2) == order.epoch(2)
