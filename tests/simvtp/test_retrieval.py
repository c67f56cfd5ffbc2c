import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from simvtp.retrieval import both_directions, caption_ranks, metrics, video_ranks


def test_literal_matrix_both_directions() -> None:
    similarity = np.array([[0.9, 0.1, 0.3], [0.8, 0.2, 0.1], [0.3, 0.4, 0.35]])
    assert caption_ranks(similarity, [0, 1, 2]).tolist() == [1, 2, 2]
    assert video_ranks(similarity, [0, 1, 2]).tolist() == [1, 2, 1]


def test_a_constant_matrix_scores_chance() -> None:
    ranks = caption_ranks(np.ones((9, 9)), range(9))
    assert ranks.tolist() == [5.0] * 9  # trap: optimistic ties give R@1 = 100
    assert metrics(ranks, 9)["R@1"] == 0.0
    assert video_ranks(np.ones((9, 9)), range(9)).tolist() == [5.0] * 9


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    similarity = np.eye(3)
    similarity[1, 2] = bad
    with pytest.raises(ValueError, match="1 similarities are not finite"):
        caption_ranks(similarity, [0, 1, 2])
    with pytest.raises(ValueError, match="not finite"):
        video_ranks(similarity, [0, 1, 2])


def test_several_captions_a_video() -> None:
    # captions 0 and 1 tell video 0, caption 2 video 1; own captions do not compete with each other
    similarity = np.array([[0.2, 0.9], [0.7, 0.1], [0.5, 0.6]])
    assert caption_ranks(similarity, [0, 0, 1]).tolist() == [2, 1, 1]
    assert video_ranks(similarity, [0, 0, 1]).tolist() == [1, 2]
    with pytest.raises(ValueError, match="video 1 of the gallery has no caption"):
        video_ranks(similarity, [0, 0, 0])


def test_against_an_independent_implementation_with_ties() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        similarity = random.integers(0, 6, (12, 12)).astype(float)
        wanted = [rankdata(-row, method="average")[i] for i, row in enumerate(similarity)]
        assert caption_ranks(similarity, range(12)).tolist() == wanted
        wanted = [rankdata(-column, method="average")[i] for i, column in enumerate(similarity.T)]
        assert video_ranks(similarity, range(12)).tolist() == wanted


def test_metrics_literal() -> None:
    found = metrics(np.array([1.0, 2.0, 5.0, 11.0]), 20)
    assert found == {"R@1": 25.0, "R@5": 75.0, "R@10": 75.0, "MdR": 3.5, "MnR": 4.75, "queries": 4, "gallery": 20}


def test_sizes_must_fit() -> None:
    with pytest.raises(ValueError, match="there are 2 captions"):
        caption_ranks(np.eye(3), [0, 1])


def test_both_directions_from_features() -> None:
    found = both_directions(torch.eye(4), torch.eye(4)[[1, 0, 2, 3]], [0, 1, 2, 3])
    assert found.ranks["text_to_video"] == [3.0, 3.0, 1.0, 1.0]  # 1 above, then the mean of the two other zeros
    assert found.metrics["text_to_video"]["R@1"] == 50.0
