"""Key maps of published checkpoints: the names of their tensors -> the names of this model's tensors.

A key map is a list of rules, pattern -> own key; the first pattern that matches the whole name counts, and a name that
no pattern matches is not used. `#0`, `#1`, `#2` mark the rows of query, key and value in one matrix.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

Rules = tuple[tuple[str, str], ...]

_BERT_EMBEDDINGS = (
    (r"word_embeddings\.weight", r"words.word.weight"),
    (r"position_embeddings\.weight", r"words.position.weight"),
    (r"token_type_embeddings\.weight", r"words.kind.weight"),
    (r"LayerNorm\.(?:weight|gamma)", r"words.norm.weight"),  # gamma, beta: files that came from TensorFlow
    (r"LayerNorm\.(?:bias|beta)", r"words.norm.bias"),
)


def _under(prefix: str, rules: Rules) -> Rules:
    return tuple((prefix + pattern, name) for pattern, name in rules)


def _original_blocks(theirs: str, ours: str) -> Rules:
    return (
        (rf"{theirs}\.blocks\.(\d+)\.mlp\.(.+)", rf"{ours}.blocks.\1.\2"),
        (rf"{theirs}\.blocks\.(\d+)\.(.+)", rf"{ours}.blocks.\1.\2"),
    )


def _transformers_layers(theirs: str, ours: str) -> Rules:
    attention = rf"{theirs}\.(\d+)\.attention\.attention"
    layer, block = rf"{theirs}\.(\d+)", rf"{ours}.blocks.\1"
    return (
        (rf"{attention}\.query\.weight", rf"{block}.attn.qkv.weight#0"),
        (rf"{attention}\.key\.weight", rf"{block}.attn.qkv.weight#1"),
        (rf"{attention}\.value\.weight", rf"{block}.attn.qkv.weight#2"),
        (rf"{attention}\.(?:query\.bias|q_bias)", rf"{block}.attn.q_bias"),
        (rf"{attention}\.(?:value\.bias|v_bias)", rf"{block}.attn.v_bias"),
        (rf"{layer}\.attention\.output\.dense\.(weight|bias)", rf"{block}.attn.proj.\2"),
        (rf"{layer}\.intermediate\.dense\.(weight|bias)", rf"{block}.fc1.\2"),
        (rf"{layer}\.output\.dense\.(weight|bias)", rf"{block}.fc2.\2"),
        (rf"{layer}\.layernorm_before\.(weight|bias)", rf"{block}.norm1.\2"),
        (rf"{layer}\.layernorm_after\.(weight|bias)", rf"{block}.norm2.\2"),
    )


@dataclass(frozen=True)
class KeyMap:
    """The key map of one kind of checkpoint.

    name: of the kind, for messages.
    marks: tensor names; a checkpoint that holds one of them is of this kind.
    rules: pattern -> own key.
    learned: names of position tables, where the checkpoint holds any.
    videomae: whether it holds a video encoder with fixed positions.
    norm: own key of the norm that the encoder must end with; empty: none.
    pixels_last: the order of a predicted tube's values: frame, row, column, channel; else channel, frame, row, column.
    """

    name: str
    marks: tuple[str, ...]
    rules: Rules
    learned: tuple[str, ...] = ()
    videomae: bool = False
    norm: str = ""
    pixels_last: bool = False


DUAL = KeyMap(
    "SimVTP, fine-tuned",
    ("video_encoder.patch_embed.proj.weight",),
    (
        (r"video_encoder\.patch_embed\.proj\.(weight|bias)", r"tubes.proj.\1"),
        *_under(r"text_encoder\.text_embeddings\.", _BERT_EMBEDDINGS),
        *_original_blocks("video_encoder", "video_encoder"),
        *_original_blocks("text_encoder", "text_encoder"),
        (r"(video|text)_encoder\.fc_norm\.(weight|bias)", r"\1_norm.\2"),
    ),
    learned=("video_encoder.pos_embed",),
    videomae=True,
)

ORIGINAL = KeyMap(
    "VideoMAE or SimVTP, original",
    ("encoder.patch_embed.proj.weight",),
    (
        (r"encoder\.patch_embed\.proj\.(weight|bias)", r"tubes.proj.\1"),
        *_original_blocks("encoder", "encoder"),
        (r"encoder\.norm\.(weight|bias)", r"encoder.norm.\1"),
        (r"encoder_to_decoder\.weight", r"pixel_decoder.embed.weight"),
        (r"mask_token", r"pixel_decoder.mask_token"),
        *_original_blocks("decoder", "pixel_decoder.layers"),
        (r"decoder\.norm\.(weight|bias)", r"pixel_decoder.layers.norm.\1"),
        (r"decoder\.head\.(weight|bias)", r"pixel_decoder.head.\1"),
        *_under(r"text_embeddings\.", _BERT_EMBEDDINGS),
        (r"text_cls\.(weight|bias)", r"word_head.\1"),
        (r"vtm_head\.(weight|bias)", r"matching_head.\1"),
    ),
    learned=("encoder.pos_embed", "pos_embed"),
    videomae=True,
    norm="encoder.norm.weight",
    pixels_last=True,
)

TRANSFORMERS = KeyMap(
    "VideoMAE, transformers",
    ("videomae.embeddings.patch_embeddings.projection.weight", "embeddings.patch_embeddings.projection.weight"),
    (
        (r"(?:videomae\.)?embeddings\.patch_embeddings\.projection\.(weight|bias)", r"tubes.proj.\1"),
        *_transformers_layers(r"(?:videomae\.)?encoder\.layer", "encoder"),
        (r"(?:videomae\.)?layernorm\.(weight|bias)", r"encoder.norm.\1"),
        (r"encoder_to_decoder\.weight", r"pixel_decoder.embed.weight"),
        (r"mask_token", r"pixel_decoder.mask_token"),
        *_transformers_layers(r"decoder\.decoder_layers", "pixel_decoder.layers"),
        (r"decoder\.norm\.(weight|bias)", r"pixel_decoder.layers.norm.\1"),
        (r"decoder\.head\.(weight|bias)", r"pixel_decoder.head.\1"),
    ),
    learned=("videomae.embeddings.position_embeddings", "embeddings.position_embeddings", "position_embeddings"),
    videomae=True,
    norm="encoder.norm.weight",
    pixels_last=True,
)

BERT = KeyMap(
    "BERT, transformers",
    ("bert.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight"),
    _under(r"(?:bert\.)?embeddings\.", _BERT_EMBEDDINGS),
)

OWN = KeyMap("this project's", ("tubes.proj.weight",), ((r"(.+)", r"\1"),))

KEY_MAPS = (OWN, DUAL, ORIGINAL, TRANSFORMERS, BERT)


def find_key_map(names: Collection[str]) -> KeyMap | None:
    """The key map of a checkpoint with tensors of these names; None if none is known."""
    return next((key_map for key_map in KEY_MAPS if any(mark in names for mark in key_map.marks)), None)


def own_key(key_map: KeyMap, name: str) -> str | None:
    """This model's name of a tensor; None if it has none."""
    for pattern, own in key_map.rules:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(own)
    return None
