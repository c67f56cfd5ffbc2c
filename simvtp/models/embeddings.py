"""Tubes and words as tokens of one width (SimVTP section 3.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from simvtp.config.schema import Model
from simvtp.runtime.constants import IMAGENET_MEAN, IMAGENET_STD


def cut_tubes(video: Tensor, model: Model) -> Tensor:
    """Cut clips into tubes, still as bytes: uint8 [B, T, H, W, 3] -> uint8 [B, tubes, tube_frames * patch * patch * 3].

    Tubes are ordered by slot, row, column; the values of a tube by channel, frame, row, column.
    """
    batch, side = video.shape[0], model.size // model.patch
    cut = video.view(batch, model.slots, model.tube_frames, side, model.patch, side, model.patch, 3)
    return cut.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(batch, model.tubes, -1)


def gather_rows(tubes: Tensor, ids: Tensor) -> Tensor:
    """Rows of each clip by index: [B, N, D] and int64 [B, K] -> [B, K, D]."""
    rows = ids + torch.arange(len(ids), device=ids.device).unsqueeze(1) * tubes.shape[1]
    return tubes.flatten(0, 1).index_select(0, rows.flatten()).unflatten(0, ids.shape)


def sine_positions(count: int, width: int) -> Tensor:
    """Fixed 1-D sine-cosine positions, float [count, width] (Vaswani et al. 2017, section 3.5; as in VideoMAE)."""
    rates = 10000 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(count, dtype=torch.float64).unsqueeze(1) * rates
    return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1).float()


def fourier_positions(count: int, width: int) -> Tensor:
    """Fixed 1-D positions along a short axis, float [count, width]: sine and cosine at frequencies spaced linearly up
    to the Nyquist frequency (Fourier features, as in Perceiver, Jaegle et al. 2021, section 3.2).

    `sine_positions` spreads its frequencies over axes of thousands; on an axis of six most of them are constant.
    """
    rates = torch.linspace(math.pi / count, math.pi, width // 2, dtype=torch.float64)
    angles = (torch.arange(count, dtype=torch.float64) + 0.5).unsqueeze(1) * rates
    return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1).float()


def factorised_positions(grid: tuple[int, int, int], width: int) -> Tensor:
    """Fixed positions of a grid of tubes, float [tubes, width], for an even width from 6: time, row and column apart,
    so that equal rows have equal parts. Time has a quarter of the width, row and column have half of the rest each."""
    widths = [2 * (width // 8) or 2]
    widths.append(2 * ((width - widths[0]) // 4))
    widths.append(width - sum(widths))
    axes = torch.meshgrid(*(torch.arange(side) for side in grid), indexing="ij")
    parts = [fourier_positions(*sizes)[axis] for sizes, axis in zip(zip(grid, widths, strict=True), axes, strict=True)]
    return torch.cat(parts, dim=3).flatten(0, 2)


# model.position_encoding -> the table of a grid of tubes
POSITIONS = {"sine": lambda grid, width: sine_positions(math.prod(grid), width), "factorised": factorised_positions}


def tube_positions(model: Model, width: int) -> Tensor:
    """Fixed positions of a clip's tubes, float [tubes, width].

    Where model.positions names another grid, its table is interpolated (trilinear) to the model's grid, so that a tube
    has the position that weights trained on that grid expect at the same point of the picture and the clip.
    """
    grid = tuple(int(side) for side in model.positions.split("x")) if model.positions else model.grid
    table = POSITIONS[model.position_encoding](grid, width)
    if grid == model.grid:
        return table
    volume = table.T.reshape(1, width, *grid)
    return functional.interpolate(volume, model.grid, mode="trilinear")[0].flatten(1).T.contiguous()


class TubeEmbedding(nn.Module):
    """Linear map of a tube's pixels to a token, plus its fixed position; only the given tubes are embedded.

    proj takes pixels normalised by ImageNet's mean and standard deviation. The normalised pixels are never in memory:
    proj((x - mean) / std) is one product of the bytes with the weights divided by std, which saves two passes over the
    pixels.
    """

    positions: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.proj = nn.Linear(model.tube_frames * model.patch**2 * 3, model.width)
        pixels = model.tube_frames * model.patch**2
        self.register_buffer("positions", tube_positions(model, model.width), persistent=False)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).mul(255).repeat_interleave(pixels), persistent=False)
        self.register_buffer(
            "scale", torch.tensor(IMAGENET_STD).mul(255).reciprocal().repeat_interleave(pixels), persistent=False
        )

    def reset_parameters(self) -> None:
        """Weights and bias anew, uniform in +-1/sqrt(values of a tube): the default of VideoMAE's `Conv3d`."""
        self.proj.reset_parameters()  # of `Linear`: the same default, and a tube is the whole kernel

    def forward(self, tubes: Tensor, ids: Tensor | None = None) -> Tensor:
        """Bytes [B, tubes, P] and the ids of the tubes to embed, int64 [B, V] (None: all) -> float [B, V, D]."""
        chosen = tubes if ids is None else gather_rows(tubes, ids)
        positions = self.positions if ids is None else self.positions[ids]
        weight = self.proj.weight * self.scale
        return functional.linear(chosen.to(weight.dtype), weight, self.proj.bias - weight @ self.mean) + positions


class WordEmbedding(nn.Module):
    """BERT's embeddings: word + position + type, LayerNorm (eps 1e-12), dropout (Devlin et al. 2019, section 3).

    vocabulary: number of words. longest: number of learned positions.
    """

    def __init__(self, vocabulary: int, model: Model, longest: int = 512) -> None:
        super().__init__()
        self.word = nn.Embedding(vocabulary, model.width)
        self.position = nn.Embedding(longest, model.width)
        self.kind = nn.Embedding(2, model.width)
        self.norm = nn.LayerNorm(model.width, eps=1e-12)
        self.dropout = nn.Dropout(model.dropout)

    def forward(self, words: Tensor) -> Tensor:
        """int64 [B, L] -> float [B, L, D]; all words are of type 0."""
        embedded = self.word(words) + self.position.weight[: words.shape[1]] + self.kind.weight[0]
        return self.dropout(self.norm(embedded))
