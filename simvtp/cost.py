"""What a step costs, counted from the config: multiply-adds of every matrix product, times two."""

from __future__ import annotations

from simvtp.config import Config
from simvtp.masking import tubes_masked


def transformer_flop(tokens: int, width: int, depth: int) -> float:
    """Forward FLOP of one sequence: per layer 12 width^2 per token in linear maps, 2 tokens width in attention."""
    return 2.0 * depth * tokens * (12 * width**2 + 2 * tokens * width)


def pretrain_gflop(config: Config, words: int | None = None) -> float:
    """GFLOP of one pre-training step, forward and backward (3 x forward); captions of `words` tokens.

    Only what is computed counts: see `objectives.losses`. None: captions of the longest length.
    """
    model, objective = config.model, config.objective
    text = model.words if words is None else words
    masked = tubes_masked(model, config.mask)
    seen = model.tubes - masked
    pixels = model.tube_frames * model.patch**2 * 3
    flop = 2.0 * seen * pixels * model.width
    joint = transformer_flop(seen + text, model.width, model.depth)
    flop += joint * (bool(objective.mvm or objective.mlm or objective.vtm) + bool(objective.vtm))
    if objective.vtc:
        flop += transformer_flop(seen, model.width, model.depth) + transformer_flop(text, model.width, model.depth)
    if objective.mvm:
        flop += 2.0 * seen * model.width * model.decoder_width
        flop += transformer_flop(model.tubes, model.decoder_width, model.decoder_depth)
        flop += 2.0 * masked * model.decoder_width * pixels
    return 3 * flop * config.pretrain.batch / 1e9
