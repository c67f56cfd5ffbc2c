"""A model of a few thousand weights and a batch whose every caption has ten words, four of its eight masked."""

from typing import Any

import torch

from simvtp.config.schema import Config, override
from simvtp.models.masking import MaskedBatch, TextMask, draw_video_mask, drop_masked, select_decoded
from simvtp.models.objectives import draw_negatives
from simvtp.models.simvtp import SimVTPModel
from simvtp.runtime.seeding import generator
from tests.small_config import CONFIG

SMALL = {"model.frames": 8, "model.size": 32, "model.patch": 8, "model.width": 16, "model.decoder_width": 8,
         "mask.video": 0.5, "mask.text": 0.5}  # fmt: skip
WORDS, LENGTH, ROWS = 40, 10, 4
PAD, CLS, SEP, MASK = 0, 2, 3, 4


def config(**changes: Any) -> Config:
    return override(CONFIG, {**SMALL, **{key.replace("__", "."): value for key, value in changes.items()}})


def model(made: Config) -> SimVTPModel:
    return SimVTPModel(made, WORDS)


def batch(made: Config) -> MaskedBatch:
    random = generator("small batch")
    video = torch.randint(0, 256, (ROWS, 8, 32, 32, 3), generator=random, dtype=torch.uint8)
    words = torch.randint(5, WORDS, (ROWS, LENGTH), generator=random)
    words[:, 0], words[:, -1] = CLS, SEP
    places = torch.rand(ROWS, LENGTH - 2, generator=random).argsort(dim=1)[:, :4].sort(dim=1).values + 1
    positions = (places + LENGTH * torch.arange(ROWS).unsqueeze(1)).flatten()
    text_mask = TextMask(words.flatten().index_fill(0, positions, MASK).view(words.shape), positions,
                         words.flatten()[positions])  # fmt: skip
    video_mask = select_decoded(draw_video_mask(ROWS, made.model, made.mask, random), made.model, made.mask, random)
    is_word = words != PAD
    return MaskedBatch(
        video, is_word, video_mask, text_mask,
        negatives=draw_negatives(made.objective.negatives, ROWS, random),
        dropped=drop_masked(text_mask, is_word) if made.mask.words == "dropped" else None,
    )  # fmt: skip
