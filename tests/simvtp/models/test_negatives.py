"""Mismatched pairs: how likely which video stands beside a text."""

from dataclasses import replace

import pytest
import torch

from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.errors import ConfigError
from simvtp.models.objectives import losses, matching_loss, sample_hard_negatives
from simvtp.runtime.seeding import generator
from tests.simvtp.models import small_batch

VIDEOS = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
TEXTS = torch.tensor([[5.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def test_sample_hard_negatives_literal() -> None:
    # text 0: cosine 0 with video 1 and 0.7071 with video 2; at temperature 0.7071 the odds are 1 to e
    edge = 1 / (1 + 2.718281828)

    def chosen(place: float) -> list[int]:
        return sample_hard_negatives(VIDEOS, TEXTS, 2**-0.5, torch.full((3,), place)).tolist()

    assert chosen(edge - 1e-4)[0] == 1
    assert chosen(edge + 1e-4)[0] == 2
    assert chosen(0.0) == [1, 0, 0]  # never its own, not even at the edges
    assert chosen(1 - 2**-24) == [2, 2, 1]
    assert chosen(0.5)[2] == 1  # both alike: half and half
    assert chosen(0.499)[2] == 0


def test_uniform_numbers_turn_into_shares() -> None:
    uniform = torch.rand(3000, generator=generator(1)).view(1000, 3)
    actual = torch.stack([sample_hard_negatives(VIDEOS, TEXTS, 2**-0.5, row) for row in uniform])
    assert (actual[:, 0] == 2).float().mean().item() == pytest.approx(0.731, abs=0.04)
    assert not (actual == torch.arange(3)).any()


def test_a_low_temperature_takes_the_most_similar() -> None:
    assert sample_hard_negatives(VIDEOS, TEXTS, 0.001, torch.tensor([0.3, 0.6, 0.9])).tolist()[:2] == [2, 2]


def test_matching_sees_the_hard_pair() -> None:
    made = small_batch.config(objective__negatives="hard", objective__mlm=0, objective__mvm=0)
    model, data = small_batch.model(made).eval(), small_batch.batch(made)
    joined: list[torch.Tensor] = []
    assert model.matching_head is not None
    model.matching_head.register_forward_hook(lambda _, __, logits: joined.append(logits))
    features: list[torch.Tensor] = []
    model.encoder.register_forward_hook(lambda _, __, groups: features.extend(g.mean() for g in groups))
    computed = losses(model, data, made)
    rows = sample_hard_negatives(features[1], features[2], 0.05, data.negatives)
    random = small_batch.config(objective__mlm=0, objective__mvm=0)
    as_random = losses(model, replace(data, negatives=rows), random)
    assert computed["vtm"].item() == pytest.approx(as_random["vtm"].item(), abs=1e-6)
    assert matching_loss(joined[0], joined[1]).item() == pytest.approx(computed["vtm"].item(), abs=1e-6)


def test_hard_negatives_need_the_contrast() -> None:
    with pytest.raises(ConfigError, match=r"objective\.negatives: hard negatives are drawn by the similarity"):
        override(preset("tiny"), {"objective.negatives": "hard", "objective.vtc": 0})
    override(preset("tiny"), {"objective.negatives": "hard", "objective.vtc": 0, "objective.vtm": 0})
