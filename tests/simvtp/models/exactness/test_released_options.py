"""Options that give the released behaviour: contrast in groups, [PAD] in the mean, fresh norms."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from simvtp.models.dual_encoder import DualEncoder, SharedEncoder, ZeroShot, make_dual_encoder
from simvtp.models.objectives import contrastive_loss, losses, sample_hard_negatives, sample_negatives
from simvtp.models.transformer import Group
from simvtp.runtime.seeding import generator
from tests.simvtp.models import small_batch


def features(rows: int) -> tuple[Tensor, Tensor]:
    random = generator("features")
    return torch.randn(rows, 6, generator=random), torch.randn(rows, 6, generator=random)


def test_contrast_in_groups_is_the_mean_over_processes_that_gather_nothing() -> None:
    videos, texts = features(12)
    alone = [contrastive_loss(videos[i : i + 4], texts[i : i + 4], 0.05) for i in (0, 4, 8)]
    actual = contrastive_loss(videos, texts, 0.05, 4)
    assert actual.item() == pytest.approx(sum(part.item() for part in alone) / 3, rel=1e-6)
    assert contrastive_loss(videos, texts, 0.05, 12).item() == contrastive_loss(videos, texts, 0.05).item()
    equal = torch.ones(12, 6)
    assert contrastive_loss(equal, equal, 0.05, 4).item() == pytest.approx(2 * math.log(4), rel=1e-6)
    assert contrastive_loss(equal, equal, 0.05).item() == pytest.approx(2 * math.log(12), rel=1e-6)


def test_mismatched_pairs_stay_within_their_group() -> None:
    rows = torch.arange(12)
    for seed in range(50):
        drawn = sample_negatives(12, generator("negatives", seed), 4)
        assert torch.equal(drawn // 4, rows // 4)
        assert not (drawn == rows).any()
    everywhere = {int(sample_negatives(12, generator("negatives", seed))[0]) for seed in range(300)}
    assert everywhere == set(range(1, 12))
    inside = {int(sample_negatives(12, generator("negatives", seed), 4)[5]) for seed in range(100)}
    assert inside == {4, 6, 7}


def test_hard_negatives_stay_within_their_group() -> None:
    videos, texts = features(12)
    for seed in range(20):
        drawn = sample_hard_negatives(videos, texts, 0.5, torch.rand(12, generator=generator("hard", seed)), 3)
        assert torch.equal(drawn // 3, torch.arange(12) // 3)
        assert not (drawn == torch.arange(12)).any()


def test_pretraining_contrasts_in_its_groups() -> None:
    whole = small_batch.config(objective__mvm=0, objective__mlm=0, objective__vtm=0)
    halves = small_batch.config(objective__mvm=0, objective__mlm=0, objective__vtm=0, pretrain__group=2)
    model, data = small_batch.model(whole).eval(), small_batch.batch(whole)
    pooled: list[Tensor] = []
    model.encoder.register_forward_hook(lambda _, __, groups: pooled.extend(group.mean() for group in groups))
    computed = losses(model, data, halves)["vtc"].item()
    videos, texts = pooled
    parts = [contrastive_loss(videos[i : i + 2], texts[i : i + 2], 0.05).item() for i in (0, 2)]
    assert computed == pytest.approx(sum(parts) / 2, rel=1e-5)
    assert losses(model, data, whole)["vtc"].item() != pytest.approx(computed, rel=1e-2)


WORDS = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])  # [PAD] is 0


@torch.no_grad()
@pytest.mark.parametrize("finetuned", [True, False])
def test_the_mean_with_padding_depends_on_the_batch_and_the_other_does_not(finetuned: bool) -> None:
    length = "4 epochs" if finetuned else "0 steps"
    collected = {}
    for mean in ("words", "padded"):
        made = small_batch.config(model__text_mean=mean, finetune__length=length)
        model = make_dual_encoder(small_batch.model(made), made).eval()
        assert isinstance(model, DualEncoder if finetuned else ZeroShot)
        together = model.encode_text(WORDS, WORDS != 0)
        alone = model.encode_text(WORDS[1:, :3], WORDS[1:, :3] != 0)
        collected[mean] = together
        assert torch.allclose(together[1], alone[0], atol=1e-6) == (mean == "words")
        (states,) = model.text_encoder([Group(model.words(WORDS), WORDS != 0)])
        normed = model.text_norm(states.tokens) if isinstance(model, ZeroShot) else states.tokens
        count = 4 if mean == "padded" else 3
        pooled = normed[1, :count].mean(dim=0)
        wanted = pooled if isinstance(model, ZeroShot) else model.text_norm(pooled)
        assert torch.allclose(together[1], functional.normalize(wanted, dim=0), atol=1e-6)
    assert torch.allclose(collected["words"][0], collected["padded"][0], atol=1e-6)  # a row without padding


def test_matching_counts_padding_where_the_config_says_so() -> None:
    made = small_batch.config(objective__mvm=0, objective__mlm=0, objective__vtc=0)
    padded = small_batch.config(objective__mvm=0, objective__mlm=0, objective__vtc=0, model__text_mean="padded")
    model, data = small_batch.model(made).eval(), small_batch.batch(made)
    assert losses(model, data, padded)["vtm"].item() == losses(model, data, made)["vtm"].item()  # nothing is padded
    is_word = data.present.clone()
    is_word[:, 7:] = False
    short = replace(data, present=is_word)
    assert losses(model, short, padded)["vtm"].item() != losses(model, short, made)["vtm"].item()


@torch.no_grad()
@pytest.mark.parametrize("towers", ["separate", "shared"])
def test_the_pooled_norm_starts_fresh_or_as_the_pretrained_one(towers: str) -> None:
    made = small_batch.config(model__towers=towers)
    pretrained = small_batch.model(made)
    pretrained.encoder.norm.weight.fill_(3.0)
    pretrained.encoder.norm.bias.fill_(0.5)
    copied = make_dual_encoder(pretrained, made)
    fresh = make_dual_encoder(pretrained, small_batch.config(model__towers=towers, model__pooled_norm="fresh"))
    assert isinstance(fresh, SharedEncoder) == (towers == "shared")
    for model, weight, bias in ((copied, 3.0, 0.5), (fresh, 1.0, 0.0)):
        for norm in (model.video_norm, model.text_norm):
            assert norm.weight.unique().tolist() == [weight]
            assert norm.bias.unique().tolist() == [bias]
            assert norm.eps == 1e-6
    untuned = small_batch.config(model__pooled_norm="fresh", finetune__length="0 steps")
    zero_shot = make_dual_encoder(pretrained, untuned)
    assert zero_shot.video_norm.weight.unique().tolist() == [3.0]


@torch.no_grad()
def test_features_are_the_unit_vectors_before_they_have_length_one() -> None:
    made = small_batch.config()
    model, data = make_dual_encoder(small_batch.model(made), made).eval(), small_batch.batch(made)
    raw = model.video_features(data.video)
    assert raw.norm(dim=1).min() > 1.5
    assert torch.allclose(model.encode_video(data.video), functional.normalize(raw), atol=1e-6)
