"""The same weights in our model and in transformers' VideoMAE and BERT: outputs, losses and gradients agree to 1e-5.

Weights travel by the literal assignments below, not by the code that loads foreign checkpoints: that code is tested
against these.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import simvtp.timm_parts  # noqa: F401  (transformers' VideoMAE imports torchvision)
from simvtp.config import Config, override
from simvtp.embedding import IMAGENET_MEAN, IMAGENET_STD, WordEmbedding
from simvtp.layers import Group
from simvtp.masking import VideoMask, draw_video_mask
from simvtp.model import SimVTP, gather, tubes_of
from simvtp.objectives import masked_video_loss, pixel_targets
from simvtp.presets import preset
from simvtp.randomness import generator, seeded

transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-5
WORDS = 40
SHAPES = {
    "small": {"model.frames": 4, "model.size": 32, "model.patch": 8, "model.width": 32, "model.depth": 2,
              "model.heads": 4, "model.decoder_width": 16, "model.decoder_depth": 1, "model.decoder_heads": 2},
    "long tubes": {"model.frames": 6, "model.size": 24, "model.patch": 4, "model.tube_frames": 3, "model.width": 24,
                   "model.depth": 3, "model.heads": 2, "model.decoder_width": 24, "model.decoder_depth": 2,
                   "model.decoder_heads": 3},
    "flat tubes": {"model.frames": 3, "model.size": 16, "model.patch": 4, "model.tube_frames": 1, "model.width": 16,
                   "model.depth": 1, "model.heads": 1, "model.decoder_width": 8, "model.decoder_depth": 1,
                   "model.decoder_heads": 1},
}  # fmt: skip
RATIOS = (0.5, 0.75, 0.9)


def config(shape: str, ratio: float = 0.75) -> Config:
    return override(preset("tiny"), {**SHAPES[shape], "mask.video": ratio})


def twins(made: Config, *, norm_pix_loss: bool = True) -> tuple[SimVTP, nn.Module]:
    """Our model and transformers', with one set of weights, none of them at an initial 0 or 1."""
    model = made.model
    theirs = transformers.VideoMAEForPreTraining(
        transformers.VideoMAEConfig(
            image_size=model.size, patch_size=model.patch, num_frames=model.frames, tubelet_size=model.tube_frames,
            hidden_size=model.width, num_hidden_layers=model.depth, num_attention_heads=model.heads,
            intermediate_size=4 * model.width, decoder_hidden_size=model.decoder_width,
            decoder_num_hidden_layers=model.decoder_depth, decoder_num_attention_heads=model.decoder_heads,
            decoder_intermediate_size=4 * model.decoder_width, layer_norm_eps=1e-6, use_mean_pooling=False,
            norm_pix_loss=norm_pix_loss,
        )
    ).eval()  # fmt: skip
    with seeded("twins", made.model.width):
        for parameter in theirs.parameters():
            parameter.data = torch.randn(parameter.shape) * 0.1 + (0.5 if parameter.ndim == 1 else 0.0)
    ours = SimVTP(made, WORDS).eval()
    for parameter, value in pairs(ours, theirs, made):
        parameter.data = value.detach().clone()
    return ours, theirs


def pairs(ours: SimVTP, theirs: Any, made: Config, *, gradient: bool = False) -> list[tuple[Tensor, Tensor]]:
    """Each of our parameters of the video path, or its gradient, beside theirs in our form."""

    def of(parameter: Tensor) -> Tensor:
        if not gradient:
            return parameter
        assert parameter.grad is not None
        return parameter.grad

    decoder = ours.pixel_decoder
    assert decoder is not None
    conv = theirs.videomae.embeddings.patch_embeddings.projection
    rows = head_rows(made)
    found = [
        (of(ours.tubes.proj.weight), of(conv.weight).flatten(1)),
        (of(ours.tubes.proj.bias), of(conv.bias)),
        (of(decoder.embed.weight), of(theirs.encoder_to_decoder.weight)),
        (of(decoder.mask_token), of(theirs.mask_token)[0, 0]),
        (of(decoder.head.weight), of(theirs.decoder.head.weight)[rows]),
        (of(decoder.head.bias), of(theirs.decoder.head.bias)[rows]),
    ]
    norms = [(ours.encoder.norm, theirs.videomae.layernorm), (decoder.layers.norm, theirs.decoder.norm)]
    stacks = [(ours.encoder, theirs.videomae.encoder.layer), (decoder.layers, theirs.decoder.decoder_layers)]
    for stack, layers in stacks:
        assert len(stack.blocks) == len(layers)
        for block, layer in zip(stack.blocks, layers, strict=True):
            attention = layer.attention.attention
            three = [of(part.weight) for part in (attention.query, attention.key, attention.value)]
            found += [
                (of(block.attn.qkv.weight), torch.cat(three)),
                (of(block.attn.q_bias), of(attention.query.bias)),
                (of(block.attn.v_bias), of(attention.value.bias)),
            ]
            norms += [(block.norm1, layer.layernorm_before), (block.norm2, layer.layernorm_after)]
            norms += [(block.attn.proj, layer.attention.output.dense)]
            norms += [(block.fc1, layer.intermediate.dense), (block.fc2, layer.output.dense)]
    for mine, other in norms:
        found += [(of(mine.weight), of(other.weight)), (of(mine.bias), of(other.bias))]
    return found


def head_rows(made: Config) -> list[int]:
    """Our value k of a tube (channel, frame, row, column) is their value rows[k] (frame, row, column, channel)."""
    frames, side = range(made.model.tube_frames), range(made.model.patch)
    places = {place: k for k, place in enumerate(product(frames, side, side, range(3)))}
    ours = product(range(3), frames, side, side)
    return [places[frame, row, column, channel] for channel, frame, row, column in ours]


def clips(made: Config, rows: int = 3) -> tuple[Tensor, Tensor]:
    """Bytes as we take them, uint8 [B, T, H, W, 3], and normalised pixels as they do, float [B, T, 3, H, W]."""
    model = made.model
    shape = (rows, model.frames, model.size, model.size, 3)
    video = torch.randint(0, 256, shape, generator=generator("clips"), dtype=torch.uint8)
    pixels = (video.double() / 255 - torch.tensor(IMAGENET_MEAN).double()) / torch.tensor(IMAGENET_STD).double()
    return video, pixels.permute(0, 1, 4, 2, 3).float()


def hidden(mask: VideoMask, tubes: int) -> Tensor:
    """bool [B, tubes], True where masked."""
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

    tubes = tubes_of(video, made.model)
    (encoded,) = ours.encode([Group(ours.tubes(tubes, mask.visible))])
    assert ours.pixel_decoder is not None
    predicted = ours.pixel_decoder(encoded.tokens, mask.visible, mask.masked)
    asked = gather(tubes, mask.masked)
    loss = masked_video_loss(predicted, pixel_targets(asked) if normed else asked.float() / 255)
    loss.backward()  # type: ignore[no-untyped-call]

    found = theirs(pixels, bool_masked_pos=hidden(mask, made.model.tubes))
    found.loss.backward()
    assert agree(predicted, found.logits[..., head_rows(made)])
    assert agree(loss, found.loss)
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
    found = alone(pixels, bool_masked_pos=hidden(mask, made.model.tubes)).last_hidden_state
    (encoded,) = ours.encode([Group(ours.tubes(tubes_of(video, made.model), mask.visible))])
    assert agree(encoded.tokens, found)
    if ratio == 0:
        (whole,) = ours.encode([Group(ours.tubes(tubes_of(video, made.model)))])
        assert agree(whole.tokens, alone(pixels).last_hidden_state)

    direction = torch.randn(found.shape, generator=generator("direction")) / found.numel() ** 0.5
    (found * direction).sum().backward()
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
    found, wanted = ours(words), theirs(input_ids=words)
    assert agree(found, wanted)
    direction = torch.randn(found.shape, generator=generator("direction")) / found.numel() ** 0.5
    (found * direction).sum().backward()
    (wanted * direction).sum().backward()
    for mine, other in beside:
        assert mine.grad is not None
        assert agree(mine.grad, other.grad)
