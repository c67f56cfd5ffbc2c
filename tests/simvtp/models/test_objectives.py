"""The four losses against slow, literal re-statements, and the packed forward against separate passes."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from simvtp.config.schema import Config, override
from simvtp.models.embeddings import cut_tubes, gather_rows
from simvtp.models.masking import MaskedBatch, draw_text_mask, draw_video_mask
from simvtp.models.objectives import (
    contrastive_loss,
    losses,
    masked_language_loss,
    masked_video_loss,
    matching_loss,
    pixel_targets,
    sample_negatives,
)
from simvtp.models.simvtp import SimVTPModel
from simvtp.models.transformer import Group
from simvtp.runtime.seeding import generator
from tests.small_config import CONFIG

SMALL = {"model.frames": 4, "model.size": 16, "model.patch": 8, "model.width": 16, "model.decoder_width": 8}
WORDS = 40
PAD, CLS, SEP, MASK = 0, 2, 3, 4


def config(**changes: object) -> Config:
    return override(CONFIG, {**SMALL, **{key.replace("__", "."): value for key, value in changes.items()}})


def batch(made: Config, rows: int = 4, padding: int = 0) -> MaskedBatch:
    random = generator("batch")
    video = torch.randint(0, 256, (rows, 4, 16, 16, 3), generator=random, dtype=torch.uint8)
    words = torch.randint(5, WORDS, (rows, 7), generator=random)
    words[:, 0], words[:, -1] = CLS, SEP
    words[0, 4:] = torch.tensor([SEP, PAD, PAD])
    text_mask = draw_text_mask(words, made.mask.text, MASK, (PAD, CLS, SEP), random)
    video_mask = draw_video_mask(rows, made.model, made.mask, random)
    negatives = sample_negatives(rows, random)
    if padding:
        pad = torch.full((rows, padding), PAD)
        length = words.shape[1]
        rows_of, places = text_mask.positions // length, text_mask.positions % length
        text_mask = type(text_mask)(
            torch.cat((text_mask.words, pad), 1), rows_of * (length + padding) + places, text_mask.targets
        )
        words = torch.cat((words, pad), 1)
    return MaskedBatch(video, words != PAD, video_mask, text_mask, negatives)


def test_pixel_targets_have_mean_0_and_unbiased_variance_1_in_each_channel() -> None:
    tubes = torch.randint(0, 256, (2, 3, 3 * 128), dtype=torch.uint8)
    actual = pixel_targets(tubes)
    for clip in range(2):
        for tube in range(3):
            for channel in range(3):
                own = tubes[clip, tube, channel * 128 : (channel + 1) * 128].double().numpy() / 255
                wanted = (own - own.mean()) / (own.std(ddof=1) + 1e-6)
                got = actual[clip, tube, channel * 128 : (channel + 1) * 128].numpy()
                assert np.allclose(got, wanted, atol=1e-4)


def test_a_flat_tube_has_targets_of_zero() -> None:
    assert pixel_targets(torch.full((1, 1, 384), 77, dtype=torch.uint8)).abs().max() < 1e-3


def test_tubes_hold_their_own_pixels() -> None:
    made = config()
    video = torch.arange(4 * 16 * 16 * 3).remainder(251).to(torch.uint8).view(1, 4, 16, 16, 3)
    tubes = cut_tubes(video, made.model)
    # tube 5: slot 1 (frames 2, 3), cell 1 (rows 0..7, columns 8..15)
    wanted = [int(video[0, f, y, x, c]) for c in range(3) for f in (2, 3) for y in range(8) for x in range(8, 16)]
    assert tubes[0, 5].tolist() == wanted


def test_masked_video_loss_is_a_mean_square() -> None:
    assert masked_video_loss(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[0.0, 4.0]]])).item() == pytest.approx(2.5)


@pytest.mark.parametrize("loss", [masked_video_loss, masked_language_loss])
def test_nothing_masked_is_a_zero_that_can_be_trained_through(loss: object) -> None:
    weight = torch.ones(3, requires_grad=True)
    targets = torch.zeros(0, 0, 3) if loss is masked_video_loss else torch.zeros(0, dtype=torch.int64)
    predicted = weight * (torch.zeros(0, 0, 3) if loss is masked_video_loss else torch.zeros(0, 3))
    value: Tensor = loss(predicted, targets)  # type: ignore[operator]
    value.backward()
    assert value.item() == 0.0  # trap: cross-entropy of nothing is NaN
    assert weight.grad is not None
    assert weight.grad.tolist() == [0.0, 0.0, 0.0]


def test_masked_language_loss_literal() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]])
    assert masked_language_loss(logits, torch.tensor([1])).item() == pytest.approx(-math.log(0.75), abs=1e-6)


def test_contrastive_loss_literal_two_by_two_both_directions_summed() -> None:
    videos = torch.tensor([[2.0, 0.0], [0.0, 3.0]])  # lengths do not count
    texts = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    s = 1 / math.sqrt(2)
    rows = [(1.0, s), (0.0, s)]  # cosine of video i with text j
    t = 0.5

    def entropy(scores: tuple[float, ...], own: int) -> float:
        return -scores[own] / t + math.log(sum(math.exp(score / t) for score in scores))

    columns = list(zip(*rows, strict=True))
    wanted = sum(entropy(r, i) for i, r in enumerate(rows)) / 2 + sum(entropy(c, i) for i, c in enumerate(columns)) / 2
    assert contrastive_loss(videos, texts, t).item() == pytest.approx(wanted, abs=1e-6)


def test_matching_loss_literal() -> None:
    matched, mismatched = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    wanted = (math.log(1 + math.exp(-2.0)) + math.log(1 + math.exp(-1.0))) / 2
    assert matching_loss(matched, mismatched).item() == pytest.approx(wanted, abs=1e-6)


def test_no_text_is_its_own_mismatch() -> None:
    for seed in range(20):
        negatives = sample_negatives(5, generator(seed))
        assert not (negatives == torch.arange(5)).any()
    drawn = torch.stack([sample_negatives(3, generator(seed)) for seed in range(2000)])
    assert (drawn[:, 0] == 1).float().mean().item() == pytest.approx(0.5, abs=0.04)


def test_packed_passes_equal_separate_ones() -> None:
    made = config()
    model, data = SimVTPModel(made, WORDS).eval(), batch(made)
    computed = losses(model, data, made)

    tubes = cut_tubes(data.video, made.model)
    videos = model.tubes(tubes, data.video_mask.visible)
    texts = model.words(data.text_mask.words)
    seen = videos.shape[1]

    def encode(rows: list[Tensor]) -> list[Tensor]:
        """Every sequence by itself, without its padding."""
        return [model.encode([Group(row.unsqueeze(0))])[0].tokens[0] for row in rows]

    lengths = data.present.sum(dim=1).tolist()
    joint = encode([torch.cat((v, t[:n])) for v, t, n in zip(videos, texts, lengths, strict=True)])
    wrong = encode([torch.cat((v, t[:n])) for v, t, n in zip(videos[data.negatives], texts, lengths, strict=True)])
    alone = torch.stack([row.mean(0) for row in encode(list(videos))])
    read = torch.stack([row.mean(0) for row in encode([t[:n] for t, n in zip(texts, lengths, strict=True)])])

    assert model.word_head is not None
    assert model.matching_head is not None
    assert model.pixel_decoder is not None
    places = [(int(p) // data.present.shape[1], int(p) % data.present.shape[1]) for p in data.text_mask.positions]
    states = torch.stack([joint[row][seen + place] for row, place in places])
    pooled = [torch.stack([row.mean(0) for row in rows]) for rows in (joint, wrong)]
    predicted = model.pixel_decoder(
        torch.stack([row[:seen] for row in joint]), data.video_mask.visible, data.video_mask.masked
    )
    wanted = {
        "mvm": masked_video_loss(predicted, pixel_targets(gather_rows(tubes, data.video_mask.masked))),
        "mlm": masked_language_loss(model.word_head(states), data.text_mask.targets),
        "vtc": contrastive_loss(alone, read, made.objective.temperature),
        "vtm": matching_loss(*(model.matching_head(rows) for rows in pooled)),
    }
    for name, value in wanted.items():
        assert computed[name].item() == pytest.approx(value.item(), abs=1e-5), name


def test_padding_changes_no_loss() -> None:
    made = config()
    model = SimVTPModel(made, WORDS).eval()
    plain, padded = losses(model, batch(made), made), losses(model, batch(made, padding=5), made)
    for name, value in plain.items():
        assert padded[name].item() == pytest.approx(value.item(), abs=1e-5), name


@pytest.mark.parametrize("off", ["mvm", "mlm", "vtc", "vtm"])
def test_an_objective_that_is_off_is_absent_and_costs_nothing(off: str) -> None:
    full, made = config(), config(**{f"objective__{off}": 0})
    model = SimVTPModel(made, WORDS)
    heads = {"mvm": "pixel_decoder", "mlm": "word_head", "vtm": "matching_head"}
    if off in heads:
        assert getattr(model, heads[off]) is None
    tokens: list[int] = []
    model.encoder.register_forward_pre_hook(
        lambda _, groups: tokens.append(sum(g.tokens.shape[0] * g.tokens.shape[1] for g in groups[0]))
    )
    computed = losses(model, batch(made), made)
    assert set(computed) == {"mvm", "mlm", "vtc", "vtm"} - {off}
    joint, alone = 4 * (2 + 7), 4 * 2 + 4 * 7  # 4 clips, 2 visible tubes, 7 words
    assert full.mask.video == 0.9
    assert tokens == [{"mvm": 2 * joint + alone, "mlm": 2 * joint + alone, "vtc": 2 * joint, "vtm": joint + alone}[off]]


def test_parts_start_alike_whatever_the_objectives() -> None:
    full, fewer = SimVTPModel(config(), WORDS).state_dict(), SimVTPModel(config(objective__mvm=0), WORDS).state_dict()
    assert set(fewer) < set(full)
    assert all(torch.equal(full[name], tensor) for name, tensor in fewer.items())


def test_only_contrast_makes_no_joint_pass() -> None:
    made = config(objective__mvm=0, objective__mlm=0, objective__vtm=0)
    assert set(losses(SimVTPModel(made, WORDS), batch(made), made)) == {"vtc"}
