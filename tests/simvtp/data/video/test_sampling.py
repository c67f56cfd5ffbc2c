"""Frame indices of clips, literal; those of the release are restated from what its code does with a video's length."""

from __future__ import annotations

import pytest

from simvtp.config.presets import preset
from simvtp.data.from_config import frame_sampling
from simvtp.data.video.sampling import FrameSampling, dense_indices, segment_indices, spread_indices
from tests.small_config import CONFIG

RELEASED = {"pretrain": FrameSampling(16, 4, "repeat", "pretrain"), "finetune": FrameSampling(16, 4, "repeat")}


def test_base_samples_as_the_release_and_tiny_over_the_whole_video() -> None:
    for stage, wanted in RELEASED.items():
        assert frame_sampling(preset("base"), stage) == wanted  # type: ignore[arg-type]
    assert frame_sampling(CONFIG, "finetune") == FrameSampling(8, 0)


def test_pretraining_takes_every_fourth_frame_of_a_window_of_64() -> None:
    sampling = RELEASED["pretrain"]
    assert sampling.train(300, 0.0) == list(range(0, 61, 4))
    assert sampling.train(300, 0.9999) == list(range(236, 297, 4))  # the window ends with the last frame, 299
    assert sampling.train(64, 0.9999) == list(range(0, 61, 4))


def test_pretraining_repeats_the_last_frame_of_a_short_video() -> None:
    sampling = RELEASED["pretrain"]
    assert sampling.train(63, 0.7) == [*range(0, 61, 4)]
    assert sampling.train(40, 0.7) == [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 36, 36, 36, 36, 36, 36]
    assert sampling.train(37, 0.7)[-8:] == [32] * 8  # 36 is the last frame of all, which is not reached
    assert sampling.train(1, 0.7) == [0] * 16


def test_finetuning_spreads_16_frames_evenly_over_a_window_of_64() -> None:
    sampling = RELEASED["finetune"]
    assert sampling.train(300, 0.0) == [0, 4, 8, 12, 17, 21, 25, 29, 34, 38, 42, 46, 51, 55, 59, 63]
    assert sampling.train(300, 0.5) == [118 + index for index in sampling.train(300, 0.0)]
    assert sampling.train(300, 0.99999)[0] == 235
    assert sampling.train(64, 0.9) == sampling.train(300, 0.0)
    assert sampling.train(40, 0.9) == [0, 4, 8, 13, 17, 22, 26, 31, 35, 39, 39, 39, 39, 39, 39, 39]
    assert sampling.train(3, 0.9) == [2] * 16


def test_the_test_takes_windows_from_the_start_to_the_end() -> None:
    sampling = RELEASED["finetune"]
    actual = sampling.test(300, 3)
    clips = [tuple(actual[first : first + 16]) for first in (0, 16, 32)]
    assert clips == [tuple(range(first, first + 61, 4)) for first in (0, 116, 236)]  # 75 kept frames: 0, 29, 59
    assert sampling.test(300, 15)[::16] == [0, 16, 32, 48, 64, 84, 100, 116, 132, 148, 168, 184, 200, 216, 236]
    assert sampling.test(300, 1) == list(range(116, 177, 4))
    assert sampling.test(20, 2) == [0, 4, 8, 12, *[16] * 12] * 2


def test_the_own_way_shrinks_the_stride_of_short_videos() -> None:
    sampling = FrameSampling(4, 5)
    assert sampling.train(100, 0.999) == [84, 89, 94, 99]
    assert sampling.train(10, 0.5) == [0, 3, 6, 9]
    assert sampling.test(100, 3) == [0, 5, 10, 15, 42, 47, 52, 57, 84, 89, 94, 99]
    assert sampling.test(100, 1) == [42, 47, 52, 57]


def test_without_a_stride_frames_are_spread_over_the_video() -> None:
    sampling = FrameSampling(4, 0, "repeat")
    assert sampling.train(80, 0.0) == [0, 20, 40, 60]
    assert sampling.test(80, 2) == [5, 25, 45, 65, 15, 35, 55, 75]


@pytest.mark.parametrize("sampling", [*RELEASED.values(), FrameSampling(16, 4), FrameSampling(16, 0)])
def test_every_index_exists_whatever_the_length(sampling: FrameSampling) -> None:
    for count in range(1, 200):
        for start in (0.0, 0.37, 0.999999):
            actual = sampling.train(count, start)
            assert len(actual) == 16
            assert actual == sorted(actual)
            assert 0 <= actual[0] <= actual[-1] < count
        assert len(sampling.test(count, 3)) == 48
        assert 0 <= min(sampling.test(count, 3)) <= max(sampling.test(count, 3)) < count


def test_dense_indices() -> None:
    assert dense_indices(100, 4, 5, 0.0) == [0, 5, 10, 15]
    assert dense_indices(100, 4, 5, 0.999) == [84, 89, 94, 99]
    assert dense_indices(8, 8, 1, 0.7) == list(range(8))
    assert dense_indices(10, 4, 5, 0.5) == [0, 3, 6, 9]  # too short for stride 5: stride 3
    assert dense_indices(3, 6, 4, 0.5) == [0, 0, 1, 1, 2, 2]
    assert dense_indices(1, 4, 4, 0.5) == [0, 0, 0, 0]


def test_segment_indices() -> None:
    assert segment_indices(8, 8, 0, 1) == list(range(8))
    assert segment_indices(80, 4, 0, 1) == [10, 30, 50, 70]
    assert [segment_indices(60, 2, s, 3) for s in range(3)] == [[5, 35], [15, 45], [25, 55]]
    assert segment_indices(2, 4, 0, 1) == [0, 0, 1, 1]
    assert spread_indices(80, 4, 0.0) == [0, 20, 40, 60]
    assert max(spread_indices(7, 7, 0.9999999)) == 6
