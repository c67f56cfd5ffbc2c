"""Masked clips and captions as a pre-trained model sees them, and its reconstruction of what is masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simvtp.config.schema import Config, Model
from simvtp.data.tokenizer import Tokenizer, pad_batch
from simvtp.data.video.video import Frames
from simvtp.models.embeddings import cut_tubes, gather_rows
from simvtp.models.masking import MaskedBatch, VideoMask, draw_text_mask, draw_video_mask, drop_masked
from simvtp.models.objectives import pair
from simvtp.models.simvtp import SimVTPModel
from simvtp.runtime.seeding import generator

HIDDEN = 128  # grey of masked tubes


@dataclass(frozen=True)
class Word:
    """A piece of a caption: what stood there, and what the model says where it was masked (None: it was visible)."""

    true: str
    guess: str | None


@dataclass(frozen=True)
class Reconstruction:
    """One clip. original, masked, rebuilt: uint8 [T, H, W, 3]; rebuilt is None without a pixel decoder.

    error: mean squared error of the masked tubes' normalised pixels, 1 for a guess of the mean everywhere; None
    without a pixel decoder or without masked tubes. A run without MLM guesses [MASK].
    """

    original: Frames
    masked: Frames
    rebuilt: Frames | None
    error: float | None
    words: list[Word]


@torch.inference_mode()
def reconstruct(
    model: SimVTPModel, config: Config, tokenizer: Tokenizer, clips: Tensor, captions: Sequence[Sequence[int]]
) -> list[Reconstruction]:
    """Mask clips, uint8 [B, T, H, W, 3], and captions by the config's ratios, drawn from its seed, and rebuild both.

    The model predicts pixels with mean 0 and variance 1 in each tube and channel; the mean and deviation that the
    tube really has are put back, so brightness and colour of a rebuilt tube are given and only what varies inside it
    is the model's work.
    """
    model.eval()
    random, words = generator(config.seed, "reconstruction"), pad_batch(captions, tokenizer.pad)
    mask = draw_video_mask(len(clips), config.model, config.mask, random)  # all masked tubes
    special = (tokenizer.pad, tokenizer.cls, tokenizer.sep)
    text, is_word = draw_text_mask(words, config.mask.text, tokenizer.mask, special, random), words != tokenizer.pad
    batch = MaskedBatch(
        clips, is_word, mask, text,
        negatives=torch.empty(0, dtype=torch.int64),
        dropped=drop_masked(text, is_word) if config.mask.words == "dropped" else None,
    )  # fmt: skip
    tubes = cut_tubes(clips, config.model)
    videos = model.tubes(tubes, mask.visible)
    (encoded,) = model.encode([pair(videos, model.embed_text(batch))])

    shown = _fill(tubes, mask, torch.full_like(gather_rows(tubes, mask.masked), HIDDEN))
    rebuilt: Tensor | None = None
    errors: list[float | None] = [None] * len(clips)
    if model.pixel_decoder is not None:
        rebuilt, errors = _pixels(model, encoded.tokens[:, : videos.shape[1]], tubes, mask)
    guesses, hidden = torch.full_like(words, tokenizer.mask), torch.zeros_like(words, dtype=torch.bool)
    hidden.view(-1)[text.positions] = True
    if config.objective.mlm:
        guesses.view(-1)[text.positions] = model.predict_words(encoded, batch).argmax(dim=1)
    return [
        Reconstruction(
            original=clips[row].numpy(),
            masked=video_of(shown, config.model)[row].numpy(),
            rebuilt=None if rebuilt is None else video_of(rebuilt, config.model)[row].numpy(),
            error=errors[row],
            words=_words(tokenizer, words[row], hidden[row], guesses[row]),
        )
        for row in range(len(clips))
    ]


def _pixels(model: SimVTPModel, encoded: Tensor, tubes: Tensor, mask: VideoMask) -> tuple[Tensor, list[float | None]]:
    """Tubes with the masked ones as predicted, uint8 [B, tubes, P], and the error of each clip."""
    assert model.pixel_decoder is not None
    true = gather_rows(tubes, mask.masked).unflatten(2, (3, -1)).double()
    if true.numel() == 0:
        return tubes, [None] * len(tubes)
    predicted = model.pixel_decoder(encoded, mask.visible, mask.masked).unflatten(2, (3, -1)).double()
    mean, deviation = true.mean(dim=3, keepdim=True), true.std(dim=3, keepdim=True)
    normal = (true - mean) / (deviation + 255e-6)
    errors = (predicted - normal).square().flatten(1).mean(dim=1)
    pixels = (predicted * deviation + mean).round().clamp(0, 255).to(torch.uint8)
    return _fill(tubes, mask, pixels.flatten(2)), [float(error) for error in errors]


def _fill(tubes: Tensor, mask: VideoMask, masked: Tensor) -> Tensor:
    return tubes.scatter(1, mask.masked.unsqueeze(2).expand_as(masked), masked)


def video_of(tubes: Tensor, model: Model) -> Tensor:
    """The inverse of `cut_tubes`: [B, tubes, P] -> [B, T, H, W, 3]."""
    side, patch = model.size // model.patch, model.patch
    cut = tubes.view(len(tubes), model.slots, side, side, 3, model.tube_frames, patch, patch)
    return cut.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(len(tubes), model.frames, model.size, model.size, 3)


def _words(tokenizer: Tokenizer, ids: Tensor, hidden: Tensor, guesses: Tensor) -> list[Word]:
    """The pieces of one caption, without BERT's special tokens."""
    special = (tokenizer.pad, tokenizer.cls, tokenizer.sep)
    kept = [index for index, number in enumerate(ids.tolist()) if number not in special]
    true = tokenizer.pieces([int(ids[index]) for index in kept])
    said = tokenizer.pieces([int(guesses[index]) for index in kept])
    return [
        Word(right, guess if bool(hidden[index]) else None)
        for index, right, guess in zip(kept, true, said, strict=True)
    ]
