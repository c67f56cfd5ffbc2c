"""Weights of other code bases by our names: VideoMAE (original and transformers), BERT's embeddings, released SimVTP.

A reader renames and reshapes, and computes nothing: the tests run the same input through both models. Only safetensors
and plain tensors in torch files are read; a pickle that would run code is refused.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from simvtp.data.errors import DataError

Weights = dict[str, Tensor]
FILES = ("model.safetensors", "weights.safetensors", "pytorch_model.bin")  # what a folder is looked through for

# Original name -> ours, within a transformer of VideoMAE's own code.
_BLOCK = {
    r"blocks\.(\d+)\.(norm[12]|attn\.proj)\.(weight|bias)": r"blocks.\1.\2.\3",
    r"blocks\.(\d+)\.attn\.(qkv\.weight|q_bias|v_bias)": r"blocks.\1.attn.\2",
    r"blocks\.(\d+)\.mlp\.(fc[12])\.(weight|bias)": r"blocks.\1.\2.\3",
}
# transformers' name -> ours; query, key and value are joined afterwards.
_LAYER = {
    r"(\d+)\.attention\.attention\.(query|key|value)\.weight": r"blocks.\1.attn.\2.weight",
    r"(\d+)\.attention\.attention\.(?:query\.bias|q_bias)": r"blocks.\1.attn.q_bias",
    r"(\d+)\.attention\.attention\.(?:value\.bias|v_bias)": r"blocks.\1.attn.v_bias",
    r"(\d+)\.attention\.output\.dense\.(weight|bias)": r"blocks.\1.attn.proj.\2",
    r"(\d+)\.intermediate\.dense\.(weight|bias)": r"blocks.\1.fc1.\2",
    r"(\d+)\.output\.dense\.(weight|bias)": r"blocks.\1.fc2.\2",
    r"(\d+)\.layernorm_before\.(weight|bias)": r"blocks.\1.norm1.\2",
    r"(\d+)\.layernorm_after\.(weight|bias)": r"blocks.\1.norm2.\2",
}


def _below(prefix: str, rules: dict[str, str], ours: str) -> dict[str, str]:
    return {re.escape(prefix) + pattern: ours + name for pattern, name in rules.items()}


_DECODER = {
    r"encoder_to_decoder\.weight": "pixel_decoder.embed.weight",
    r"mask_token": "pixel_decoder.mask_token",
    r"decoder\.norm\.(weight|bias)": r"pixel_decoder.layers.norm.\1",
    r"decoder\.head\.(weight|bias)": r"pixel_decoder.head.\1",
}
_WORDS = {
    r"word_embeddings\.weight": "words.word.weight",
    r"position_embeddings\.weight": "words.position.weight",
    r"token_type_embeddings\.weight": "words.kind.weight",
    r"LayerNorm\.(weight|bias|gamma|beta)": r"words.norm.\1",
}

# Layout -> a name that only it has, and original name -> ours.
LAYOUTS: dict[str, tuple[str, dict[str, str]]] = {
    "SimVTP, fine-tuned": (
        "video_encoder.blocks.0.norm1.weight",
        _below("video_encoder.", _BLOCK, "video_encoder.")
        | _below("text_encoder.", _BLOCK, "text_encoder.")
        | _below("text_embeddings.", _WORDS, "")
        | {
            r"video_encoder\.patch_embed\.proj\.(weight|bias)": r"tubes.proj.\1",
            r"video_encoder\.(?:fc_norm|norm)\.(weight|bias)": r"video_norm.\1",
            r"text_encoder\.(?:fc_norm|norm)\.(weight|bias)": r"text_norm.\1",
        },
    ),
    "VideoMAE or SimVTP": (
        "encoder.blocks.0.norm1.weight",
        _below("encoder.", _BLOCK, "encoder.")
        | _below("decoder.", _BLOCK, "pixel_decoder.layers.")
        | _below("text_embeddings.", _WORDS, "")
        | _DECODER
        | {
            r"encoder\.patch_embed\.proj\.(weight|bias)": r"tubes.proj.\1",
            r"encoder\.norm\.(weight|bias)": r"encoder.norm.\1",
            r"text_cls\.(weight|bias)": r"word_head.\1",
            r"vtm_head\.(weight|bias)": r"matching_head.\1",
        },
    ),
    "VideoMAE of transformers": (
        "videomae.encoder.layer.0.layernorm_before.weight",
        _below("videomae.encoder.layer.", _LAYER, "encoder.")
        | _below("decoder.decoder_layers.", _LAYER, "pixel_decoder.layers.")
        | _DECODER
        | {
            r"videomae\.embeddings\.patch_embeddings\.projection\.(weight|bias)": r"tubes.proj.\1",
            r"videomae\.layernorm\.(weight|bias)": r"encoder.norm.\1",
        },
    ),
    "VideoMAEModel of transformers": (
        "encoder.layer.0.layernorm_before.weight",
        _below("encoder.layer.", _LAYER, "encoder.")
        | {
            r"embeddings\.patch_embeddings\.projection\.(weight|bias)": r"tubes.proj.\1",
            r"layernorm\.(weight|bias)": r"encoder.norm.\1",
        },
    ),
    "BERT embeddings": ("bert.embeddings.word_embeddings.weight", _below("bert.embeddings.", _WORDS, "")),
    "BERT embeddings without a head": ("embeddings.word_embeddings.weight", _below("embeddings.", _WORDS, "")),
    "our own": ("tubes.proj.weight", {r"(.+)": r"\1"}),
}


def read(path: Path) -> Weights:
    """The tensors of a file or folder, under their own names; raises DataError where there are none to be read."""
    if path.is_dir():
        found = [path / name for name in FILES if (path / name).is_file()]
        if not found:
            raise DataError(f"{path}: the folder holds none of {', '.join(FILES)}")
        path = found[0]
    if not path.is_file():
        raise DataError(f"{path} is not there: model.init takes a checkpoint, or a folder with one")
    try:
        if path.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} holds more than tensors, and reading that could run code: it is refused. Where you trust it, "
            "load it with its own code base and save its state_dict as safetensors"
        ) from error
    except (safetensors.SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise DataError(f"{path} cannot be read as weights ({str(error).splitlines()[0]})") from error
    for key in ("model", "module", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(part, Tensor) for part in content.values()):
        raise DataError(f"{path}: no weights by name, nor a `model`, `module` or `state_dict` that holds them")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def layout_of(names: Iterable[str], path: Path) -> str:
    """The layout that the names are of; raises DataError, naming some of them, where it is none that is known."""
    known = set(names)
    for layout, (telling, _) in LAYOUTS.items():
        if telling in known:
            return layout
    shown = ", ".join(sorted(known)[:3])
    raise DataError(f"{path}: names such as {shown} are of no layout that is known ({', '.join(LAYOUTS)})")


def translate(weights: Weights, layout: str) -> tuple[Weights, list[str]]:
    """Weights by our names and in our shapes, and the names that have no place here."""
    found: Weights = {}
    left = []
    rules = [(re.compile(pattern), name) for pattern, name in LAYOUTS[layout][1].items()]
    for name, tensor in weights.items():
        ours = next((m.expand(new) for pattern, new in rules if (m := pattern.fullmatch(name))), None)
        if ours is None:
            left.append(name)
        else:
            found[ours.replace(".gamma", ".weight").replace(".beta", ".bias")] = tensor.float()
    if layout != "our own":
        found = _reshaped(_joined(found))
    return found, left


def _joined(weights: Weights) -> Weights:
    """Query, key and value as one matrix."""
    for name in [name for name in weights if name.endswith(".attn.query.weight")]:
        stem = name.removesuffix("query.weight")
        parts = [weights.pop(f"{stem}{part}.weight") for part in ("query", "key", "value")]
        weights[f"{stem}qkv.weight"] = torch.cat(parts)
    return weights


def _reshaped(weights: Weights) -> Weights:
    """The values of a tube are ordered by channel, frame, row, column here, as in a convolution's kernel; VideoMAE's
    decoder predicts them by frame, row, column, channel."""
    reshape: dict[str, Callable[[Tensor], Tensor]] = {
        "tubes.proj.weight": lambda kernel: kernel.flatten(1),
        "pixel_decoder.mask_token": lambda token: token.flatten(),
        "pixel_decoder.head.weight": _channels_first,
        "pixel_decoder.head.bias": _channels_first,
    }
    return {name: reshape.get(name, lambda same: same)(tensor) for name, tensor in weights.items()}


def _channels_first(rows: Tensor) -> Tensor:
    return rows.unflatten(0, (-1, 3)).transpose(0, 1).flatten(0, 1)
