"""Our model and transformers' VideoMAE with one set of weights, put there by literal assignments.

The code that loads foreign checkpoints has no part in this: it is tested against it.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
import transformers
from torch import Tensor, nn

import simvtp.runtime.timm_compat  # noqa: F401  (transformers' VideoMAE imports torchvision)
from simvtp.config.schema import Config, override
from simvtp.models.simvtp import SimVTPModel
from simvtp.runtime.seeding import seeded
from tests.small_config import CONFIG

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


def config(shape: str, ratio: float = 0.75) -> Config:
    return override(CONFIG, {**SHAPES[shape], "mask.video": ratio})


def twins(made: Config, *, norm_pix_loss: bool = True, scale: float = 0.1) -> tuple[SimVTPModel, nn.Module]:
    """Our model and transformers', with one set of weights of that deviation, none of them at an initial 0 or 1."""
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
            parameter.data = torch.randn(parameter.shape) * scale + (0.5 if parameter.ndim == 1 else 0.0)
    ours = SimVTPModel(made, WORDS).eval()
    for parameter, value in pairs(ours, theirs, made):
        parameter.data = value.detach().clone()
    return ours, theirs


def pairs(ours: SimVTPModel, theirs: Any, made: Config, *, gradient: bool = False) -> list[tuple[Tensor, Tensor]]:
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
    actual = [
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
            actual += [
                (of(block.attn.qkv.weight), torch.cat(three)),
                (of(block.attn.q_bias), of(attention.query.bias)),
                (of(block.attn.v_bias), of(attention.value.bias)),
            ]
            norms += [(block.norm1, layer.layernorm_before), (block.norm2, layer.layernorm_after)]
            norms += [(block.attn.proj, layer.attention.output.dense)]
            norms += [(block.fc1, layer.intermediate.dense), (block.fc2, layer.output.dense)]
    for mine, other in norms:
        actual += [(of(mine.weight), of(other.weight)), (of(mine.bias), of(other.bias))]
    return actual


def head_rows(made: Config) -> list[int]:
    """Our value k of a tube (channel, frame, row, column) is their value rows[k] (frame, row, column, channel)."""
    frames, side = range(made.model.tube_frames), range(made.model.patch)
    places = {place: k for k, place in enumerate(product(frames, side, side, range(3)))}
    ours = product(range(3), frames, side, side)
    return [places[frame, row, column, channel] for channel, frame, row, column in ours]
