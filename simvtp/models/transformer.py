"""The transformer of the encoder and the decoders, over packed groups of sequences.

Several passes (joint, mismatched pairs, video alone, text alone) are computed as one pass of the encoder. Their tokens
are concatenated into one matrix for all operations on single tokens; attention treats each group separately.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn


@dataclass(frozen=True)
class Group:
    """Sequences of one length.

    tokens: float [B, N, D].
    present: bool [B, N], False at padding, or None if there is no padding.
    """

    tokens: Tensor
    present: Tensor | None = None

    def mean(self, over: Literal["words", "padded"] = "words") -> Tensor:
        """float [B, D]: the mean over the tokens that are no padding; over padded: over all (model.text_mean)."""
        if self.present is None or over == "padded":
            return self.tokens.mean(dim=1)
        weight = self.present.unsqueeze(2).to(self.tokens.dtype)
        return (self.tokens * weight).sum(dim=1) / weight.sum(dim=1)


@dataclass(frozen=True)
class GroupShape:
    """Where a group lies in the packed matrix: `batch` sequences of `length` tokens.

    attention_mask: bool [batch, 1, 1, length], False if a key is padding, or None.
    """

    batch: int
    length: int
    attention_mask: Tensor | None

    @property
    def tokens(self) -> int:
        """Rows of the packed matrix."""
        return self.batch * self.length


@dataclass(frozen=True)
class Boundaries:
    """Where sequences begin and end in the packed matrix.

    cumulative: int32 [sequences + 1], the first token of each, then the number of all tokens.
    longest: tokens of a sequence at most.
    """

    cumulative: Tensor
    longest: int


def sequence_boundaries(groups: Sequence[Group]) -> Boundaries:
    """Boundaries of all sequences of all groups, end to end. Padding must stand at the end of its row.

    The padding of a row counts as a sequence of its own, so that no shape depends on how much there is of it.
    """
    ends, first = [groups[0].tokens.new_zeros(1, dtype=torch.int32)], 0
    for group in groups:
        batch, length, _ = group.tokens.shape
        starts = first + length * torch.arange(batch, dtype=torch.int32, device=group.tokens.device)
        if group.present is None:
            ends.append(starts + length)
        else:
            own = group.present.sum(dim=1, dtype=torch.int32)
            ends.append(torch.stack((starts + own, starts + length), dim=1).flatten())
        first += batch * length
    return Boundaries(torch.cat(ends), max(group.tokens.shape[1] for group in groups))


class Attention(nn.Module):
    """Multi-head self-attention. A key bias changes no output of a softmax, so there is none (as in BEiT, VideoMAE)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, shapes: Sequence[GroupShape], boundaries: Boundaries | None = None) -> Tensor:
        """x: float [tokens, D], the groups end to end -> [tokens, D].

        boundaries: all sequences are attended by one kernel for sequences of any length, without a mask; None: one
        call of scaled_dot_product_attention for each group.
        """
        bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        qkv = functional.linear(x, self.qkv.weight, bias)
        if boundaries is not None:
            q, k, v = qkv.view(len(x), 3, self.heads, -1).unbind(1)
            cumulative, longest = boundaries.cumulative, boundaries.longest
            mixed = varlen_attn(q, k, v, cumulative, cumulative, longest, longest)
            return self._project(cast(Tensor, mixed).flatten(1))
        outputs = []
        for part, shape in zip(qkv.split([s.tokens for s in shapes]), shapes, strict=True):
            q, k, v = part.view(shape.batch, shape.length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
            mixed = _attend(q, k, v, shape.attention_mask)
            outputs.append(mixed.transpose(1, 2).reshape(shape.tokens, -1))
        return self._project(torch.cat(outputs) if len(outputs) > 1 else outputs[0])

    def _project(self, mixed: Tensor) -> Tensor:
        projected: Tensor = self.proj(mixed)
        return projected


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax attention of q, k, v [B, heads, N, d] -> [B, heads, N, d] of their type; on a CPU in float32."""
    if q.device.type != "cpu" or q.dtype == torch.float32:
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    # bfloat16 attention of torch's CPU kernels takes 1.4 to 6 times as long as float32, the backward most of all
    with torch.autocast("cpu", enabled=False):
        return functional.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask).to(q.dtype)


def draw_kept(rate: float, shapes: Sequence[GroupShape], device: torch.device) -> Tensor:
    """Stochastic depth (Huang et al. 2016): float [2, tokens, 1], what the two branches of a layer are multiplied by.

    With probability `rate` that is 0 for all tokens of a sequence, else 1 / (1 - rate).
    """

    def branch() -> Tensor:
        drawn = [torch.empty(s.batch, 1, device=device).bernoulli_(1 - rate).div_(1 - rate) for s in shapes]
        parts = [part.expand(-1, s.length).reshape(-1, 1) for part, s in zip(drawn, shapes, strict=True)]
        return torch.cat(parts)

    return torch.stack((branch(), branch()))


class Block(nn.Module):
    """Pre-norm transformer layer: attention, then an MLP four times as wide with GELU (LayerNorm eps 1e-6).

    It draws nothing at random, so that layers of any drop rate are one compiled graph, with the draws of eager mode.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(
        self, x: Tensor, shapes: Sequence[GroupShape], boundaries: Boundaries | None = None, kept: Tensor | None = None
    ) -> Tensor:
        """x: float [tokens, D], the groups end to end -> [tokens, D]. boundaries: as in `Attention`. kept: float
        [2, tokens, 1], factors of the outputs of attention and MLP (`draw_kept`); None: 1."""
        attended = self.attn(self.norm1(x), shapes, boundaries)
        x = x + (attended if kept is None else attended * kept[0].to(attended.dtype))
        mapped = self.fc2(functional.gelu(self.fc1(self.norm2(x))))
        return x + (mapped if kept is None else mapped * kept[1].to(mapped.dtype))


class Transformer(nn.Module):
    """Layers and a final LayerNorm over packed groups.

    drop_path: stochastic depth of the last layer, rising linearly from 0 at the first.

    The attribute `varlen`, off at first, chooses variable-length attention in bf16 or fp16, by autocast or by the type
    of the tokens (Flash Attention, which runs on GPUs alone); padding must then stand at the end of its row.
    """

    def __init__(self, width: int, depth: int, heads: int, *, drop_path: float = 0.0, final_norm: bool = True) -> None:
        super().__init__()
        self.drop_rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6) if final_norm else nn.Identity()
        self.varlen = False

    def forward(self, groups: Sequence[Group]) -> list[Group]:
        """Groups in, groups of the same shapes out; no token sees another sequence, nor padding."""
        shapes = []
        for group in groups:
            batch, length, _ = group.tokens.shape
            keys = None if group.present is None else group.present[:, None, None, :]
            shapes.append(GroupShape(batch, length, keys))
        x = torch.cat([g.tokens.flatten(0, 1) for g in groups])
        varlen = self.varlen and (torch.is_autocast_enabled(x.device.type) or x.dtype != torch.float32)
        boundaries = sequence_boundaries(groups) if varlen else None
        for block, rate in zip(self.blocks, self.drop_rates, strict=True):
            kept = draw_kept(rate, shapes, x.device) if self.training and rate else None
            x = block(x, shapes, boundaries, kept)
        parts = self.norm(x).split([s.tokens for s in shapes])
        return [
            Group(part.view(s.batch, s.length, -1), group.present)
            for part, s, group in zip(parts, shapes, groups, strict=True)
        ]


def initialise(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases of linear layers; embeddings as in BERT, normal(0, 0.02)."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.02)
