"""The same weights in our model and in transformers' VideoMAE and BERT: outputs, losses and gradients agree to 1e-5.

Weights travel by the literal assignments of `videomae_twins`, not by the code that loads foreign checkpoints.
"""

from __future__ import annotations

import pytest
import torch
import transformers
from torch import Tensor, nn

from simvtp.config.schema import Config
from simvtp.models.embeddings import WordEmbedding, cut_tubes, gather_rows
from simvtp.models.masking import VideoMask, draw_video_mask
from simvtp.models.objectives import masked_video_loss, pixel_targets
from simvtp.models.transformer import Group
from simvtp.runtime.constants import IMAGENET_MEAN, IMAGENET_STD
from simvtp.runtime.seeding import generator, seeded
from tests.simvtp.models.exactness.videomae_twins import SHAPES, WORDS, config, head_rows, pairs, twins

TOLERANCE = 1e-5
RATIOS = (0.5, 0.75, 0.9)


def clips(made: Config, rows: int = 3) -> tuple[Tensor, Tensor]:
    """Bytes as we take them, uint8 [B, T, H, W, 3], and normalised pixels as they do, float [B, T, 3, H, W]."""
    model = made.model
    shape = (rows, model.frames, model.size, model.size, 3)
    video = torch.randint(0, 256, shape, generator=generator("clips"), dtype=torch.uint8)
    pixels = (video.double() / 255 - torch.tensor(IMAGENET_MEAN).double()) / torch.tensor(IMAGENET_STD).double()
    return video, pixels.permute(0, 1, 4, 2, 3).float()


def hidden(mask: VideoMask, tubes: int) -> Tensor:
    """bool [B, tubes], True if masked."""
    return torch.zeros(len(mask.masked), tubes, dtype=torch.bool).scatter(1, mask.masked, True)


def agree(ours: Tensor, theirs: Tensor) -> bool:
    return ours.shape == theirs.shape and (ours - theirs).abs().max().item() <= TOLERANCE


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("normed", [True, False])
def test_masked_video_modelling_is_videomaes(shape: str, ratio: float, normed: bool) -> None:
    made = config(shape, ratio)
    ours, theirs = twins(made, norm_pix_loss=normed)
    video, pixels = clips(made)
    mask = draw_video_mask(len(video), made.model, made.mask, generator("mask"))

    tubes = cut_tubes(video, made.model)
    (encoded,) = ours.encode([Group(ours.tubes(tubes, mask.visible))])
    assert ours.pixel_decoder is not None
    predicted = ours.pixel_decoder(encoded.tokens, mask.visible, mask.masked)
    masked = gather_rows(tubes, mask.masked)
    loss = masked_video_loss(predicted, pixel_targets(masked) if normed else masked.float() / 255)
    loss.backward()  # type: ignore[no-untyped-call]

    actual = theirs(pixels, bool_masked_pos=hidden(mask, made.model.tubes))
    actual.loss.backward()
    assert agree(predicted, actual.logits[..., head_rows(made)])
    assert agree(loss, actual.loss)
    for mine, other in pairs(ours, theirs, made, gradient=True):
        assert other.abs().max() > 0
        assert agree(mine, other)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("ratio", [0.0, *RATIOS])
def test_the_encoder_is_videomaes(shape: str, ratio: float) -> None:
    """VideoMAEModel, whole clips (ratio 0) and visible tubes only."""
    made = config(shape, ratio)
    ours, theirs = twins(made)
    video, pixels = clips(made)
    mask = draw_video_mask(len(video), made.model, made.mask, generator("mask"))
    alone = theirs.get_submodule("videomae")
    actual = alone(pixels, bool_masked_pos=hidden(mask, made.model.tubes)).last_hidden_state
    (encoded,) = ours.encode([Group(ours.tubes(cut_tubes(video, made.model), mask.visible))])
    assert agree(encoded.tokens, actual)
    if ratio == 0:
        (whole,) = ours.encode([Group(ours.tubes(cut_tubes(video, made.model)))])
        assert agree(whole.tokens, alone(pixels).last_hidden_state)

    direction = torch.randn(actual.shape, generator=generator("direction")) / actual.numel() ** 0.5
    (actual * direction).sum().backward()
    (encoded.tokens * direction).sum().backward()
    _zero_where_unused(ours, theirs)
    for mine, other in pairs(ours, theirs, made, gradient=True):
        assert agree(mine, other)
    for used in (ours.tubes.proj.weight, ours.encoder.blocks[0].attn.qkv.weight, ours.encoder.norm.weight):
        assert used.grad.abs().max() > 1e-3  # type: ignore[union-attr]


def _zero_where_unused(*models: nn.Module) -> None:
    """A parameter that took no part has a gradient of zero."""
    for parameter in (parameter for model in models for parameter in model.parameters()):
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


@pytest.mark.parametrize("shape", list(SHAPES))
def test_word_embeddings_are_berts(shape: str) -> None:
    made = config(shape)
    width = made.model.width
    bert = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=WORDS, hidden_size=width, num_hidden_layers=1, num_attention_heads=1, intermediate_size=width,
            max_position_embeddings=512, layer_norm_eps=1e-12,
        )
    ).eval()  # fmt: skip
    theirs, ours = bert.embeddings, WordEmbedding(WORDS, made.model).eval()
    with seeded("bert"):
        for parameter in theirs.parameters():
            parameter.data = torch.randn(parameter.shape)
    beside = [
        (ours.word.weight, theirs.word_embeddings.weight), (ours.position.weight, theirs.position_embeddings.weight),
        (ours.kind.weight, theirs.token_type_embeddings.weight), (ours.norm.weight, theirs.LayerNorm.weight),
        (ours.norm.bias, theirs.LayerNorm.bias),
    ]  # fmt: skip
    for mine, other in beside:
        mine.data = other.detach().clone()
    words = torch.randint(1, WORDS, (3, made.model.words), generator=generator("words"))  # 0 is [PAD]
    actual, wanted = ours(words), theirs(input_ids=words)
    assert agree(actual, wanted)
    direction = torch.randn(actual.shape, generator=generator("direction")) / actual.numel() ** 0.5
    (actual * direction).sum().backward()
    (wanted * direction).sum().backward()
    for mine, other in beside:
        assert mine.grad is not None
        assert agree(mine.grad, other.grad)
