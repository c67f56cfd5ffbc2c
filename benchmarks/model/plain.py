"""The four losses as the release computes them, on the weights of our model: what `step.py` measures ours against.

Four encoder passes (reconstruction; video and text alone; matching pairs; mismatched pairs), each of which embeds
every tube of every clip and then drops the masked ones by a boolean mask; attention with its matrix written out; the
word head on every word; pixel targets of every tube. It shares the weights with the package, and no line of its
forward but the embedding of words.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from simvtp.config.schema import Config
from simvtp.models.masking import MaskedBatch
from simvtp.models.simvtp import SimVTPModel
from simvtp.models.transformer import Transformer

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def plain_losses(model: SimVTPModel, batch: MaskedBatch, config: Config) -> dict[str, Tensor]:
    """mvm, mlm, vtc and vtm, unweighted; all four must be on, in the form of the paper (masked words kept)."""
    assert model.pixel_decoder is not None
    assert model.word_head is not None
    assert model.matching_head is not None
    shape, rows, device = config.model, len(batch.video), batch.video.device
    hidden = torch.zeros(rows, shape.tubes, dtype=torch.bool, device=device).scatter(1, batch.video_mask.masked, True)
    pixels = (batch.video.float() / 255).permute(0, 4, 1, 2, 3)  # [B, 3, T, H, W]
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1, 1) for values in (MEAN, STD))
    frames = (pixels - mean) / std

    joint = encode_pair(model, config, frames, hidden, batch)
    count = int((~hidden[0]).sum())
    true_words = torch.full((batch.present.numel(),), -100, device=device)
    true_words[batch.text_mask.positions] = batch.text_mask.targets
    logits = model.word_head(joint[:, count:])
    losses = {
        "mvm": functional.mse_loss(decode(model, joint[:, :count], hidden), targets(pixels, hidden, config)),
        "mlm": functional.cross_entropy(logits.flatten(0, 1), true_words, ignore_index=-100),
    }

    films = encode(model.encoder, embed(model, config, frames, hidden), None).mean(dim=1)
    words = encode(model.encoder, model.words(batch.text_mask.words), batch.present)
    texts = (words * batch.present.unsqueeze(2)).sum(dim=1) / batch.present.sum(dim=1, keepdim=True)
    cosine = functional.normalize(films) @ functional.normalize(texts).T / config.objective.temperature
    own = torch.arange(rows, device=device)
    losses["vtc"] = functional.cross_entropy(cosine, own) + functional.cross_entropy(cosine.T, own)

    matched = encode_pair(model, config, frames, hidden, batch)
    negatives = batch.negatives.to(device)
    others = frames[negatives].contiguous()
    mismatched = encode_pair(model, config, others, hidden[negatives], batch)
    is_word = torch.cat((batch.present.new_ones(rows, count), batch.present), dim=1).unsqueeze(2)
    pooled = [(pairs * is_word).sum(dim=1) / is_word.sum(dim=1) for pairs in (matched, mismatched)]
    labels = torch.cat((torch.ones(rows, device=device), torch.zeros(rows, device=device))).long()
    losses["vtm"] = functional.cross_entropy(model.matching_head(torch.cat(pooled)), labels)
    return losses


def embed(model: SimVTPModel, config: Config, frames: Tensor, hidden: Tensor) -> Tensor:
    """Every tube embedded by a convolution; then the visible ones, [B, V, D]."""
    shape = config.model
    kernel = (shape.tube_frames, shape.patch, shape.patch)
    weight = model.tubes.proj.weight.view(shape.width, 3, *kernel)
    tokens = functional.conv3d(frames, weight, model.tubes.proj.bias, stride=kernel).flatten(2).transpose(1, 2)
    tokens = tokens + model.tubes.positions
    return tokens[~hidden].view(len(frames), -1, shape.width)


def encode_pair(model: SimVTPModel, config: Config, frames: Tensor, hidden: Tensor, batch: MaskedBatch) -> Tensor:
    """Visible tubes and words as one sequence, [B, V + L, D]."""
    videos, words = embed(model, config, frames, hidden), model.words(batch.text_mask.words)
    is_token = torch.cat((batch.present.new_ones(videos.shape[:2]), batch.present), dim=1)
    return encode(model.encoder, torch.cat((videos, words), dim=1), is_token)


def encode(layers: Transformer, x: Tensor, is_token: Tensor | None) -> Tensor:
    """[B, N, D] and which tokens are no padding -> [B, N, D]."""
    batch, length, width = x.shape
    for block in layers.blocks:
        attn = block.attn
        bias = torch.cat((attn.q_bias, torch.zeros_like(attn.q_bias), attn.v_bias))
        qkv = functional.linear(block.norm1(x), attn.qkv.weight, bias)
        q, k, v = qkv.view(batch, length, 3, attn.heads, -1).permute(2, 0, 3, 1, 4)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
        if is_token is not None:
            scores = scores.masked_fill(~is_token[:, None, None, :], -torch.inf)
        x = x + attn.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(batch, length, width))
        x = x + block.fc2(functional.gelu(block.fc1(block.norm2(x))))
    return layers.norm(x)


def decode(model: SimVTPModel, states: Tensor, hidden: Tensor) -> Tensor:
    """Predicted pixels of masked tubes, [B, M, P]."""
    decoder = model.pixel_decoder
    assert decoder is not None
    rows, width = len(states), decoder.mask_token.numel()
    positions = decoder.positions.expand(rows, -1, -1)
    seen = decoder.embed(states) + positions[~hidden].view(rows, -1, width)
    masked = decoder.mask_token + positions[hidden].view(rows, -1, width)
    decoded = encode(decoder.layers, torch.cat((seen, masked), dim=1), None)
    return decoder.head(decoded[:, states.shape[1] :])


def targets(pixels: Tensor, hidden: Tensor, config: Config) -> Tensor:
    """Every tube with mean 0 and variance 1 in each colour; then those of masked tubes, [B, M, P]."""
    shape, rows, side = config.model, len(pixels), config.model.size // config.model.patch
    cut = pixels.reshape(rows, 3, shape.slots, shape.tube_frames, side, shape.patch, side, shape.patch)
    tubes = cut.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(rows, shape.tubes, 3, -1)
    normed = (tubes - tubes.mean(dim=3, keepdim=True)) / (tubes.var(dim=3, keepdim=True).sqrt() + 1e-6)
    return normed.flatten(2)[hidden].view(rows, -1, normed.shape[2] * normed.shape[3])
