import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from simvtp.config.schema import override
from simvtp.evaluation.metrics import both_directions, dual_softmax, matrix_ranks, metrics, ranked
from simvtp.models.dual_encoder import ZeroShot, make_dual_encoder
from simvtp.models.simvtp import SimVTPModel
from simvtp.models.transformer import Group
from tests.small_config import CONFIG


def test_literal_matrix_both_directions() -> None:
    similarity = np.array([[0.9, 0.1, 0.3], [0.8, 0.2, 0.1], [0.3, 0.4, 0.35]])
    assert matrix_ranks(similarity, [0, 1, 2])[0].tolist() == [1, 2, 2]
    assert matrix_ranks(similarity, [0, 1, 2])[1].tolist() == [1, 2, 1]


def test_a_constant_matrix_scores_chance() -> None:
    ranks, of_videos = matrix_ranks(np.ones((9, 9)), range(9))
    assert ranks.tolist() == [5.0] * 9  # trap: optimistic ties give R@1 = 100
    assert metrics(ranks, 9)["R@1"] == 0.0
    assert of_videos.tolist() == [5.0] * 9


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    similarity = np.eye(3)
    similarity[1, 2] = bad
    with pytest.raises(ValueError, match="1 similarities are not finite"):
        matrix_ranks(similarity, [0, 1, 2])


def test_several_captions_a_video() -> None:
    # captions 0 and 1 tell video 0, caption 2 video 1; own captions do not compete with each other
    similarity = np.array([[0.2, 0.9], [0.7, 0.1], [0.5, 0.6]])
    assert matrix_ranks(similarity, [0, 0, 1])[0].tolist() == [2, 1, 1]
    assert matrix_ranks(similarity, [0, 0, 1])[1].tolist() == [1, 2]
    with pytest.raises(ValueError, match="video 1 of the gallery has no caption"):
        matrix_ranks(similarity, [0, 0, 0])


def test_against_an_independent_implementation_with_ties() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        similarity = random.integers(0, 6, (12, 12)).astype(float)
        wanted = [rankdata(-row, method="average")[i] for i, row in enumerate(similarity)]
        assert matrix_ranks(similarity, range(12))[0].tolist() == wanted
        wanted = [rankdata(-column, method="average")[i] for i, column in enumerate(similarity.T)]
        assert matrix_ranks(similarity, range(12))[1].tolist() == wanted


def test_metrics_literal() -> None:
    actual = metrics(np.array([1.0, 2.0, 5.0, 11.0]), 20)
    assert actual == {"R@1": 25.0, "R@5": 75.0, "R@10": 75.0, "MdR": 3.5, "MnR": 4.75, "queries": 4, "gallery": 20}


def test_sizes_must_fit() -> None:
    with pytest.raises(ValueError, match="3 captions, but 2 owners"):
        matrix_ranks(np.eye(3), [0, 1])


def test_an_absent_video_is_found_by_nobody_and_outranks_nothing() -> None:
    scores = np.array([[0.1, 0.9, 0.2], [0.8, 0.7, 0.9], [0.3, 0.9, 0.4]])  # video 1 would win twice
    actual = ranked(scores, scores, [0, 1, 2], absent=[1])
    assert actual.ranks == {"text_to_video": [2, 3, 1], "video_to_text": [3, 3, 2]}
    assert actual.metrics["text_to_video"]["R@1"] == pytest.approx(100 / 3)


def test_both_directions_from_features() -> None:
    actual = both_directions(torch.eye(4), torch.eye(4)[[1, 0, 2, 3]], [0, 1, 2, 3])
    assert actual.ranks["text_to_video"] == [3.0, 3.0, 1.0, 1.0]  # 1 above, then the mean of the two other zeros
    assert actual.metrics["text_to_video"]["R@1"] == 50.0


def test_dual_softmax_literal() -> None:
    similarity = np.array([[0.5, 0.4], [0.9, 0.3]])
    # video 0 is claimed by caption 1, so caption 0 gets video 1
    by_caption = dual_softmax(similarity, 0.1, axis=0)
    claim = np.exp(5) / (np.exp(5) + np.exp(9))
    assert by_caption[0, 0] == pytest.approx(0.5 * claim)
    assert by_caption[0, 1] == pytest.approx(0.4 * np.exp(4) / (np.exp(4) + np.exp(3)))
    assert matrix_ranks(similarity, [1, 0])[0].tolist() == [2, 1]
    by_video = dual_softmax(similarity, 0.1, axis=1)
    assert by_video[0, 0] == pytest.approx(0.5 * np.exp(5) / (np.exp(5) + np.exp(4)))
    assert ranked(by_caption, by_video, [1, 0]).ranks == {"text_to_video": [1, 1], "video_to_text": [1, 1]}


@torch.no_grad()
def test_without_finetuning_the_features_are_those_of_pretrainings_contrast() -> None:
    config = override(CONFIG, {"finetune.length": "0 steps"})
    pretrained = SimVTPModel(config, 40).eval()
    torch.nn.init.normal_(pretrained.encoder.norm.weight, generator=torch.Generator().manual_seed(2))
    model = make_dual_encoder(pretrained, config).eval()
    assert isinstance(model, ZeroShot)
    video = torch.randint(0, 256, (2, 8, 48, 48, 3), dtype=torch.uint8)
    words = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])
    tokens = pretrained.tubes(video.view(2, 4, 2, 6, 8, 6, 8, 3).permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(2, 144, 384))
    (alone,) = pretrained.encode([Group(tokens)])
    assert torch.allclose(model.encode_video(video), torch.nn.functional.normalize(alone.tokens.mean(dim=1)), atol=1e-6)
    (second,) = pretrained.encode([Group(pretrained.words(words[1:, :3]))])
    wanted = torch.nn.functional.normalize(second.tokens.mean(dim=1))[0]
    assert torch.allclose(model.encode_text(words, words != 0)[1], wanted, atol=1e-6)
