"""Ranks by blocks against literal ones and against the ranks of the whole matrix."""

import numpy as np
import pytest
import torch
from torch import Tensor

from simvtp.evaluation.metrics import caption_ranks, ranks, video_ranks, without
from simvtp.runtime.seeding import generator


def features(rows: int, name: str) -> Tensor:
    """Few different values, so that many pairs tie exactly: all products are whole numbers."""
    return torch.randint(-1, 2, (rows, 4), generator=generator("ranking", name)).float()


@pytest.mark.parametrize("block", [1, 3, 7, 64])
def test_ranks_of_every_block_size_are_those_of_the_whole_matrix_with_ties(block: int) -> None:
    videos, captions = features(20, "videos"), features(50, "captions")
    owner = [*range(20), *torch.randint(20, (30,), generator=generator("owner")).tolist()]  # not ascending
    matrix = (captions.double() @ videos.double().T).numpy()
    of_captions, of_videos = ranks(videos, captions, owner, block=block)
    wanted = caption_ranks(matrix, owner)
    assert (wanted % 1 == 0.5).any()  # ties that count half
    assert of_captions.tolist() == wanted.tolist()
    assert of_videos.tolist() == video_ranks(matrix, owner).tolist()


@pytest.mark.parametrize("block", [3, 64])
def test_no_caption_of_another_video_prefers_an_absent_one(block: int) -> None:
    videos, captions = features(20, "videos"), features(50, "captions")
    owner = [*range(20), *torch.randint(20, (30,), generator=generator("owner")).tolist()]
    matrix, there = (captions.double() @ videos.double().T).numpy(), ~np.isin(owner, [4, 11])
    of_captions, of_videos = ranks(videos, captions, owner, absent=[4, 11], block=block)
    wanted = caption_ranks(without(matrix, [4, 11]), owner)
    assert of_captions[there].tolist() == wanted[there].tolist() != caption_ranks(matrix, owner)[there].tolist()
    assert of_videos.tolist() == video_ranks(matrix, owner).tolist()


def test_literal_ranks() -> None:
    """Cosines: captions 0 and 1 of video 0 are 1.0 and 0.0 to it, 0.0 and 1.0 to video 1; caption 2 is 0.6 and 0.8."""
    videos = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    captions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    of_captions, of_videos = ranks(videos, captions, [0, 0, 1], block=1)
    assert of_captions.tolist() == [1.0, 2.0, 1.0]
    assert of_videos.tolist() == [1.0, 2.0]  # caption 1 is nearer to video 1 than its own


def test_equal_features_score_chance() -> None:
    of_captions, of_videos = ranks(torch.ones(5, 3), torch.ones(10, 3), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4], block=2)
    assert of_captions.tolist() == [3.0] * 10
    assert of_videos.tolist() == [5.0] * 5  # 8 captions of others, half of them before


def test_one_block_is_the_matrix_bit_by_bit() -> None:
    videos, captions = (torch.randn(n, 16, generator=generator("random", n)) for n in (40, 60))
    owner = np.sort([*range(40), *range(20)])
    matrix = (captions.double() @ videos.double().T).numpy()
    of_captions, of_videos = ranks(videos, captions, owner)
    assert of_captions.tolist() == caption_ranks(matrix, owner).tolist()
    assert of_videos.tolist() == video_ranks(matrix, owner).tolist()


def test_what_cannot_be_ranked_is_said() -> None:
    broken = torch.tensor([[1.0, float("nan")], [1.0, 0.0]])
    with pytest.raises(ValueError, match="1 videos are not finite"):
        ranks(broken, torch.ones(2, 2), [0, 1])
    with pytest.raises(ValueError, match="video 1 of the gallery has no caption"):
        ranks(torch.ones(2, 2), torch.ones(2, 2), [0, 0])
    with pytest.raises(ValueError, match="2 captions, but 1 owners"):
        ranks(torch.ones(2, 2), torch.ones(2, 2), [0])
