"""Batches that are looked up on the device are those that the loader puts together on the CPU."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.data.from_config import build_train_loader, pretraining_corpus, tokenizer_of
from simvtp.data.train_loader import Batch, TrainLoader
from simvtp.data.video import device_frames
from simvtp.data.video.device_frames import DeviceFrames, fits
from tests.small_config import QUICK

CPU = torch.device("cpu")


def loader(**changes: Any) -> TrainLoader:
    config = override(preset("tiny"), {**QUICK, **changes})
    return build_train_loader(config, "pretrain", pretraining_corpus(config), tokenizer_of(config), CPU)


def first(made: TrainLoader, count: int, step: int = 0) -> list[Batch]:
    return list(itertools.islice(made.batches(step), count))


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch, corpus_cache: object) -> None:  # noqa: ARG001
    """The CPU stands for a GPU with room."""
    monkeypatch.setattr(device_frames, "fits", lambda size, device: size > 0 and device == CPU)


@pytest.mark.usefixtures("on_device")
@pytest.mark.parametrize("changes", [
    {}, {"data.fraction": 0.4, "seed": 7}, {"data.stride": 2, "model.frames": 4, "model.tube_frames": 2},
    {"pretrain.accumulate": 2}, {"machine.workers": 2},
], ids=str)  # fmt: skip
def test_batches_are_those_of_the_loader(changes: dict[str, Any]) -> None:
    found = first(loader(**changes), 8, step=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_frames, "fits", lambda size, device: False)  # noqa: ARG005
        wanted = first(loader(**changes), 8, step=3)
    assert len({batch.ids[0] for batch in wanted}) > 4  # they differ from each other, and come again in a second epoch
    for one, other in zip(found, wanted, strict=True):
        assert one.ids == other.ids
        assert one.video.dtype == torch.uint8
        assert torch.equal(one.video, other.video)
        assert torch.equal(one.words, other.words)


@pytest.mark.usefixtures("on_device")
@pytest.mark.parametrize(
    ("changes", "dtype"),
    [
        ({}, torch.int64),  # numbers of frames
        ({"machine.frame_cache": "off"}, torch.uint8),
        ({"pretrain.crop": "multiscale"}, torch.uint8),
        ({"pretrain.crop": "resized"}, torch.uint8),
        ({"pretrain.flip": "all"}, torch.uint8),
        ({"model.size": 32}, torch.uint8),
    ],
    ids=str,
)
def test_clips_that_are_no_cached_frames_as_they_are_are_made_on_the_cpu(
    changes: dict[str, Any], dtype: torch.dtype
) -> None:
    assert loader(**changes).make(0).video.dtype == dtype


def test_frames_are_on_the_device_and_no_value_is_asked_for() -> None:
    cached = np.zeros((5, 3, 4, 4, 3), np.uint8)
    frames = DeviceFrames(cached, [4, 0, 2], torch.device("meta"))
    clips = frames.clips(torch.tensor([[0, 1], [8, 8]]))
    assert clips.device.type == "meta"
    assert clips.shape == (2, 2, 4, 4, 3)


def test_a_number_names_a_frame_of_a_chosen_video() -> None:
    cached = np.arange(5 * 3, dtype=np.uint8).reshape(5, 3, 1, 1, 1)
    frames = DeviceFrames(cached, [4, 0, 2], CPU)
    numbers = torch.from_numpy(np.stack([frames.numbers(0, [0, 2]), frames.numbers(2, [1, 1])]))
    assert frames.clips(numbers).flatten().tolist() == [12, 14, 7, 7]


def test_an_eighth_of_a_gpu_half_of_what_is_free_and_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (30 * 2**30, 80 * 2**30))
    assert fits(10 * 2**30, torch.device("cuda"))
    assert not fits(10 * 2**30 + 1, torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2 * 2**30, 80 * 2**30))  # others have the rest
    assert fits(2**30, torch.device("cuda"))
    assert not fits(2**30 + 1, torch.device("cuda"))
    assert not fits(1, CPU)
