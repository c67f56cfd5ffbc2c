"""How the tensors of published checkpoints are named, and what each is called here.

A layout is a list of rules, pattern -> our name; the first that fits a whole name counts, and a name that no rule fits
has no place in this model. `#0`, `#1`, `#2` mark the rows of query, key and value in one matrix.
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
class Layout:
    """marks: names of which one tells the layout. learned: names that positions have where they are learned or saved.

    videomae: it is of a video encoder with fixed positions. pixels_last: values of a tube that is predicted are ordered
    frame, row, column, channel, not channel, frame, row, column.
    """

    name: str
    marks: tuple[str, ...]
    rules: Rules
    learned: tuple[str, ...] = ()
    videomae: bool = False
    pixels_last: bool = False


DUAL = Layout(
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

ORIGINAL = Layout(
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
    pixels_last=True,
)

TRANSFORMERS = Layout(
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
    pixels_last=True,
)

BERT = Layout(
    "BERT, transformers",
    ("bert.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight"),
    _under(r"(?:bert\.)?embeddings\.", _BERT_EMBEDDINGS),
)

OWN = Layout("this project's", ("tubes.proj.weight",), ((r"(.+)", r"\1"),))

LAYOUTS = (OWN, DUAL, ORIGINAL, TRANSFORMERS, BERT)


def layout_of(names: Collection[str]) -> Layout | None:
    """The layout of a checkpoint with tensors of these names; None where it is none that is known."""
    return next((layout for layout in LAYOUTS if any(mark in names for mark in layout.marks)), None)


def our_name(layout: Layout, name: str) -> str | None:
    """Our name of a tensor; None where it has no place in this model."""
    for pattern, ours in layout.rules:
        found = re.fullmatch(pattern, name)
        if found:
            return found.expand(ours)
    return None
