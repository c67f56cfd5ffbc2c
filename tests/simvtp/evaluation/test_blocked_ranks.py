"""Ranks by blocks against literal ones and against ranks that scipy gives, one query at a time."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from torch import Tensor

from simvtp.evaluation.metrics import Doubles, feature_ranks, matrix_ranks, without_absent
from simvtp.runtime.seeding import generator


def features(rows: int, name: str) -> Tensor:
    """Few different values, so that many pairs tie exactly: all products are whole numbers."""
    return torch.randint(-1, 2, (rows, 4), generator=generator("ranking", name)).float()


def slow_ranks(matrix: Doubles, owner: list[int]) -> tuple[list[float], list[float]]:
    """Of captions and of videos, by scipy's mean rank over ties in a list of all wrong scores and the right one."""
    own = np.asarray(owner)
    of_captions = [
        rankdata(-np.append(np.delete(row, video), row[video]))[-1] for row, video in zip(matrix, own, strict=True)
    ]
    of_videos = [
        rankdata(-np.append(column[own != video], column[own == video].max()))[-1]
        for video, column in enumerate(matrix.T)
    ]
    return [float(rank) for rank in of_captions], [float(rank) for rank in of_videos]


@pytest.mark.parametrize("block", [1, 3, 7, 64])
def test_ranks_of_every_block_size_are_those_of_the_whole_matrix_with_ties(block: int) -> None:
    videos, captions = features(20, "videos"), features(50, "captions")
    owner = [*range(20), *torch.randint(20, (30,), generator=generator("owner")).tolist()]  # not ascending
    matrix = (captions.double() @ videos.double().T).numpy()
    wanted_captions, wanted_videos = slow_ranks(matrix, owner)
    assert any(rank % 1 == 0.5 for rank in wanted_captions)  # ties that count half
    for of_captions, of_videos in (
        feature_ranks(videos, captions, owner, block=block),
        matrix_ranks(matrix, owner, block=block),
    ):
        assert of_captions.tolist() == wanted_captions
        assert of_videos.tolist() == wanted_videos


@pytest.mark.parametrize("block", [3, 64])
def test_no_caption_of_another_video_prefers_an_absent_one(block: int) -> None:
    videos, captions = features(20, "videos"), features(50, "captions")
    owner = [*range(20), *torch.randint(20, (30,), generator=generator("owner")).tolist()]
    matrix, there = (captions.double() @ videos.double().T).numpy(), ~np.isin(owner, [4, 11])
    of_captions, of_videos = feature_ranks(videos, captions, owner, absent=[4, 11], block=block)
    plain, wanted_videos = slow_ranks(matrix, owner)
    wanted = np.array(slow_ranks(without_absent(matrix, [4, 11]), owner)[0])
    assert of_captions[there].tolist() == wanted[there].tolist() != np.array(plain)[there].tolist()
    assert of_videos.tolist() == wanted_videos


def test_literal_ranks() -> None:
    """Cosines: captions 0 and 1 of video 0 are 1.0 and 0.0 to it, 0.0 and 1.0 to video 1; caption 2 is 0.6 and 0.8."""
    videos = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    captions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    of_captions, of_videos = feature_ranks(videos, captions, [0, 0, 1], block=1)
    assert of_captions.tolist() == [1.0, 2.0, 1.0]
    assert of_videos.tolist() == [1.0, 2.0]  # caption 1 is nearer to video 1 than its own


def test_equal_features_score_chance() -> None:
    of_captions, of_videos = feature_ranks(torch.ones(5, 3), torch.ones(10, 3), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4], block=2)
    assert of_captions.tolist() == [3.0] * 10
    assert of_videos.tolist() == [5.0] * 5  # 8 captions of others, half of them before


def test_one_block_is_the_matrix_bit_by_bit() -> None:
    videos, captions = (torch.randn(n, 16, generator=generator("random", n)) for n in (40, 60))
    owner = np.sort([*range(40), *range(20)])
    matrix = (captions.double() @ videos.double().T).numpy()
    by_features, by_matrix = feature_ranks(videos, captions, owner), matrix_ranks(matrix, owner)
    assert [ranks.tolist() for ranks in by_features] == [ranks.tolist() for ranks in by_matrix]


def test_what_cannot_be_ranked_is_said() -> None:
    broken = torch.tensor([[1.0, float("nan")], [1.0, 0.0]])
    with pytest.raises(ValueError, match="1 videos are not finite"):
        feature_ranks(broken, torch.ones(2, 2), [0, 1])
    with pytest.raises(ValueError, match="video 1 of the gallery has no caption"):
        feature_ranks(torch.ones(2, 2), torch.ones(2, 2), [0, 0])
    with pytest.raises(ValueError, match="2 captions, but 1 owners"):
        feature_ranks(torch.ones(2, 2), torch.ones(2, 2), [0])
