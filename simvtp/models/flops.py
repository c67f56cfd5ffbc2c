"""What a step costs, counted from the config: multiply-adds of every matrix product, times two."""

from __future__ import annotations

from simvtp.config.plugins.usage import active
from simvtp.config.schema import Config
from simvtp.config.tube_counts import tubes_decoded, tubes_masked
from simvtp.models.passes import passes_of


def transformer_flop(tokens: float, width: int, depth: int) -> float:
    """Forward FLOP of one sequence: per layer 12 width^2 per token in linear maps, 2 tokens width in attention."""
    return 2.0 * depth * tokens * (12 * width**2 + 2 * tokens * width)


def pretrain_gflop(config: Config, words: int | None = None) -> float:
    """GFLOP of one pre-training step, forward and backward (3 x forward); captions of `words` tokens.

    Only what is computed counts: see `objectives.losses`; predicting words from states does not, since it depends on
    the vocabulary. Dropped words count as their mean. None: captions of the longest length. An objective of a plugin
    counts its own (`PretrainObjective.flop`).
    """
    model, objective, passes = config.model, config.objective, passes_of(config)
    whole_text = model.words if words is None else words
    dropped = config.mask.words == "dropped"
    text = whole_text - (whole_text - 2) * config.mask.text * dropped  # [CLS] and [SEP] always stay
    decoded = tubes_decoded(model, config.mask)
    seen = model.tubes - tubes_masked(model, config.mask)
    pixels = model.tube_frames * model.patch**2 * 3
    flop = 2.0 * seen * pixels * model.width
    joint = transformer_flop(seen + text, model.width, model.depth)
    flop += joint * (("joint" in passes) + ("mismatched" in passes))
    if "clean_video" in passes:
        flop += 2.0 * model.tubes * pixels * model.width
    alone = {"clean_video": model.tubes, "clean_text": whole_text, "video": seen, "text": text}
    for name, tokens in alone.items():
        flop += transformer_flop(tokens, model.width, model.depth) * (name in passes)
    if objective.mvm:
        flop += 2.0 * seen * model.width * model.decoder_width
        flop += transformer_flop(seen + decoded, model.decoder_width, model.decoder_depth)
        flop += 2.0 * decoded * model.decoder_width * pixels
    if objective.mlm and dropped:
        flop += 2.0 * (seen + text) * model.width * model.decoder_width
        flop += transformer_flop(seen + whole_text, model.decoder_width, model.decoder_depth)
    flop += sum(added.flop(config) for _, added in active(config, "objective").values())
    return 3 * flop * config.pretrain.batch / 1e9


def finetune_gflop(config: Config, words: int | None = None) -> float:
    """GFLOP of one fine-tuning step, forward and backward (3 x forward): both encoders over whole clips and captions of
    `words` tokens. None: captions of the longest length."""
    model = config.model
    flop = 2.0 * model.tubes * model.tube_frames * model.patch**2 * 3 * model.width
    flop += transformer_flop(model.tubes, model.width, model.depth)
    flop += transformer_flop(model.words if words is None else words, model.width, model.depth)
    return 3 * flop * config.finetune.batch / 1e9
