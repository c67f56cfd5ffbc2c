"""Candidates, their re-ranking, and the judge, against literal values and one pair at a time."""

import numpy as np
import pytest
import torch

from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.data.from_config import tokenizer_of
from simvtp.evaluation import rerank
from simvtp.evaluation.encode import gallery
from simvtp.evaluation.metrics import matrix_ranks
from simvtp.evaluation.rerank import candidates, matching, reranked
from simvtp.models.build import fresh_model
from simvtp.models.embeddings import cut_tubes
from simvtp.models.simvtp import SimVTPModel
from simvtp.models.transformer import Group
from tests.small_config import CONFIG

SIMILARITY = np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.6], [0.5, 0.4, 0.3]])


def test_candidates_are_the_best_of_each_caption_and_of_each_video() -> None:
    assert candidates(SIMILARITY, 1).tolist() == [[True, True, False], [False, True, True], [True, False, False]]
    assert candidates(SIMILARITY, 9).all()


def test_the_best_k_take_the_order_of_the_judge_and_the_rest_stays_behind() -> None:
    chances = np.array([[0.1, 0.6, 0.9], [0.9, 0.2, 0.3], [0.5, 0.4, 0.3]])
    # caption 0: its best two are videos 0 and 1, the judge prefers 1; video 2 is no candidate, whatever the judge says
    assert matrix_ranks(reranked(SIMILARITY, chances, 2, axis=1), [0, 1, 2])[0].tolist() == [2, 2, 3]
    assert matrix_ranks(reranked(SIMILARITY, chances, 2, axis=1), [1, 2, 0])[0].tolist() == [1, 1, 1]
    # video 0: captions 0 and 2 are its best two, the judge prefers 2; of video 2's best two it likes none better
    assert matrix_ranks(reranked(SIMILARITY, chances, 2, axis=0), [0, 1, 2])[1].tolist() == [2, 2, 1.5]
    assert matrix_ranks(reranked(SIMILARITY, chances, 0, axis=1), [0, 1, 2])[0].tolist() == [1, 1, 3]


def alone(model: SimVTPModel, clip: torch.Tensor, words: list[int]) -> float:
    """The chance of one pair, by one joint pass of its own."""
    tokens = torch.cat((model.tubes(cut_tubes(clip[None], CONFIG.model)), model.words(torch.tensor([words]))), 1)
    (joint,) = model.encode([Group(tokens)])
    assert model.matching_head is not None
    return float(model.matching_head(joint.tokens.mean(dim=1)).softmax(dim=1)[0, 1])


@torch.no_grad()
def test_the_judge_gives_each_pair_what_a_pass_of_its_own_gives(
    quick: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[None] = []
    monkeypatch.setattr(rerank, "beat", lambda: beats.append(None))
    config = override(preset("tiny"), {**quick, "evaluate.segments": 2})
    tokenizer = tokenizer_of(config)
    model, test = fresh_model(config, tokenizer).eval(), gallery(config, tokenizer, "test", views=True)
    assert model.matching_head is not None
    torch.nn.init.normal_(model.matching_head.weight, generator=torch.Generator().manual_seed(1))
    pairs = np.zeros((16, 16), bool)
    pairs[[0, 3, 5], [2, 2, 15]] = True
    actual = matching(model, test, pairs, config, torch.device("cpu"))
    assert (actual[~pairs] == 0).all()
    assert len(beats) == 2  # one a video of which something is asked: else --hung-after would end a long judgement
    videos = torch.cat(list(test.videos()))
    for caption, video in ((0, 2), (3, 2), (5, 15)):
        wanted = np.mean([alone(model, view, test.captions()[caption]) for view in videos[video]])
        assert abs(actual[caption, video] - wanted) < 1e-6
