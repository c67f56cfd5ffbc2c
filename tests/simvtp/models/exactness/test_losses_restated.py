"""The four losses of a whole batch, from bytes and word ids to four numbers, once more in double precision: one clip,
one tube, one word, one head at a time, and without a line of the package but the values of the weights."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from simvtp.models.masking import draw_text_mask, draw_video_mask
from simvtp.models.objectives import MaskedBatch, losses, sample_negatives
from simvtp.models.simvtp import SimVTPModel
from simvtp.runtime.seeding import generator
from tests.simvtp.models.small_batch import CLS, MASK, PAD, SEP, WORDS, config

Array = npt.NDArray[np.float64]
FRAMES, SIZE, TUBE, PATCH, HEADS, DECODER_HEADS = 8, 32, 2, 8, 2, 2
SIDE = SIZE // PATCH
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def tube(video: Array, number: int) -> Array:
    """[3, values]: pixels in [0, 1] of one tube by channel; video: [T, H, W, 3]."""
    slot, place = divmod(number, SIDE * SIDE)
    row, column = divmod(place, SIDE)
    cut = video[slot * TUBE : (slot + 1) * TUBE, row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH]
    return np.stack([cut[..., channel].ravel() for channel in range(3)]) / 255


def sine(place: int, width: int) -> Array:
    return np.array([
        (math.sin, math.cos)[i % 2](place / 10000 ** (2 * (i // 2) / width)) for i in range(width)
    ])  # fmt: skip


def norm(x: Array, weights: dict[str, Array], name: str, eps: float = 1e-6) -> Array:
    return (x - x.mean()) / math.sqrt(x.var() + eps) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: Array, weights: dict[str, Array], name: str) -> Array:
    return weights[f"{name}.weight"] @ x + weights.get(f"{name}.bias", 0.0)


def gelu(x: Array) -> Array:
    return np.array([value * 0.5 * (1 + math.erf(value / math.sqrt(2))) for value in x])


def softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max())
    return raised / raised.sum()


def transformer(tokens: list[Array], weights: dict[str, Array], name: str, heads: int) -> list[Array]:
    """One sequence through all layers and the last norm."""
    depth = 1 + max(int(key[len(name) + 8 :].split(".")[0]) for key in weights if key.startswith(f"{name}.blocks."))
    width = len(tokens[0])
    for layer in (f"{name}.blocks.{i}" for i in range(depth)):
        normed = [norm(x, weights, f"{layer}.norm1") for x in tokens]
        qkv = [weights[f"{layer}.attn.qkv.weight"] @ x for x in normed]
        queries = [x[:width] + weights[f"{layer}.attn.q_bias"] for x in qkv]
        keys = [x[width : 2 * width] for x in qkv]
        values = [x[2 * width :] + weights[f"{layer}.attn.v_bias"] for x in qkv]
        after = []
        for x, query in zip(tokens, queries, strict=True):
            mixed = []
            for head in np.split(np.arange(width), heads):
                shares = softmax(np.array([query[head] @ key[head] for key in keys]) / math.sqrt(len(head)))
                mixed.append(sum(share * value[head] for share, value in zip(shares, values, strict=True)))
            after.append(x + linear(np.concatenate(mixed), weights, f"{layer}.attn.proj"))
        wide = [gelu(linear(norm(x, weights, f"{layer}.norm2"), weights, f"{layer}.fc1")) for x in after]
        tokens = [x + linear(hidden, weights, f"{layer}.fc2") for x, hidden in zip(after, wide, strict=True)]
    return [norm(x, weights, f"{name}.norm") for x in tokens]


def entropy(scores: list[float] | Array, right: int) -> float:
    return float(np.log(np.sum(np.exp(np.asarray(scores) - scores[right]))))


def restated(weights: dict[str, Array], batch: MaskedBatch, temperature: float) -> dict[str, float]:
    """The four losses (SimVTP section 3.3)."""
    videos, rows = batch.video.numpy().astype(np.float64), len(batch.video)
    seen, masked = batch.video_mask.visible.tolist(), batch.video_mask.masked.tolist()

    def tubes(row: int) -> list[Array]:
        collected = []
        for number in seen[row]:
            pixels = tube(videos[row], number)
            normal = np.concatenate([(pixels[c] - MEAN[c]) / STD[c] for c in range(3)])
            collected.append(linear(normal, weights, "tubes.proj") + sine(number, len(weights["tubes.proj.bias"])))
        return collected

    def words(row: int) -> list[Array]:
        collected = []
        for place, word in enumerate(batch.text_mask.words[row].tolist()):
            if word != PAD:
                parts = weights["words.word.weight"][word], weights["words.position.weight"][place]
                collected.append(norm(sum(parts) + weights["words.kind.weight"][0], weights, "words.norm", 1e-12))
        return collected

    def encoded(tokens: list[Array]) -> list[Array]:
        return transformer(tokens, weights, "encoder", HEADS)

    joint = [encoded(tubes(row) + words(row)) for row in range(rows)]
    squares = []
    for row in range(rows):
        count, width = len(seen[row]), len(weights["pixel_decoder.mask_token"])
        given = [
            linear(x, weights, "pixel_decoder.embed") + sine(place, width)
            for x, place in zip(joint[row][:count], seen[row], strict=True)
        ]
        given += [weights["pixel_decoder.mask_token"] + sine(place, width) for place in masked[row]]
        decoded = transformer(given, weights, "pixel_decoder.layers", DECODER_HEADS)[count:]
        for number, state in zip(masked[row], decoded, strict=True):
            predicted = linear(state, weights, "pixel_decoder.head").reshape(3, -1)
            for channel, pixels in enumerate(tube(videos[row], number)):
                wanted = (pixels - pixels.mean()) / (pixels.std(ddof=1) + 1e-6)
                squares += list((predicted[channel] - wanted) ** 2)

    length, entropies = batch.text_mask.words.shape[1], []
    for position, target in zip(batch.text_mask.positions.tolist(), batch.text_mask.targets.tolist(), strict=True):
        row, place = divmod(position, length)
        entropies.append(entropy(linear(joint[row][len(seen[row]) + place], weights, "word_head"), target))

    films = [np.mean(encoded(tubes(row)), axis=0) for row in range(rows)]
    texts = [np.mean(encoded(words(row)), axis=0) for row in range(rows)]
    cosine = [[f @ t / math.sqrt(f @ f) / math.sqrt(t @ t) / temperature for t in texts] for f in films]
    by_film = sum(entropy(cosine[row], row) for row in range(rows)) / rows
    by_text = sum(entropy([cosine[film][row] for film in range(rows)], row) for row in range(rows)) / rows

    matches = []
    for row, other in enumerate(batch.negatives.tolist()):
        wrong = encoded(tubes(other) + words(row))
        matches.append(entropy(linear(np.mean(joint[row], axis=0), weights, "matching_head"), 1))
        matches.append(entropy(linear(np.mean(wrong, axis=0), weights, "matching_head"), 0))
    return {
        "mvm": float(np.mean(squares)),
        "mlm": float(np.mean(entropies)),
        "vtc": by_film + by_text,
        "vtm": float(np.mean(matches)),
    }


@pytest.mark.parametrize(("video", "text", "kind"), [(0.9, 0.75, "tube"), (0.5, 0.15, "random"), (0.75, 0.5, "frame")])
def test_four_losses_of_a_batch_from_bytes_and_words(video: float, text: float, kind: str) -> None:
    made = config(mask__video=video, mask__text=text, mask__kind=kind)
    model = SimVTPModel(made, WORDS).eval()
    random = generator("restated")
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random) * 0.2 + (0.5 if parameter.ndim == 1 else 0.0)
    words = torch.randint(5, WORDS, (3, 7), generator=random)
    words[:, 0], words[:, -1] = CLS, SEP
    words[1, 4:] = torch.tensor([SEP, PAD, PAD])
    batch = MaskedBatch(
        torch.randint(0, 256, (3, FRAMES, SIZE, SIZE, 3), generator=random, dtype=torch.uint8), words != PAD,
        draw_video_mask(3, made.model, made.mask, random), draw_text_mask(words, text, MASK, (PAD, CLS, SEP), random),
        sample_negatives(3, random),
    )  # fmt: skip
    computed = losses(model, batch, made)
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
    wanted = restated(weights, batch, made.objective.temperature)
    assert len(batch.text_mask.targets) > 0
    for name, value in wanted.items():
        assert computed[name].item() == pytest.approx(value, abs=1e-5, rel=1e-5), name
