"""Checks of a config that need more than one field."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simvtp.config.schema import Config
from simvtp.config.plugins.usage import names_on
from simvtp.errors import ConfigError


def check(config: Config) -> None:
    """Raise ConfigError for the first fields whose values contradict each other."""
    _check_shapes(config)
    _check_objectives(config)
    _check_data(config)
    for name in ("pretrain", "finetune"):
        stage = getattr(config, name)
        _need_multiple(f"{name}.batch", stage.batch, f"{name}.accumulate", stage.accumulate)
        _check_group(name, stage.group, stage.batch // stage.accumulate)
        if stage.precision == "bf16-pure" and config.machine.shard:
            raise ConfigError(
                f"{name}.precision: bf16-pure keeps all weights in each process, and machine.shard shares them out; "
                "take one of the two"
            )
    if config.evaluate.rerank and not (config.objective.vtm and (config.model.init or config.is_pretrained)):
        raise ConfigError(
            "evaluate.rerank: candidates are judged by the matching head that pre-training with objective.vtm leaves, "
            "or that model.init holds, and this config has none; switch objective.vtm on, or set evaluate.rerank=0"
        )


def _check_shapes(config: Config) -> None:
    model = config.model
    _need_multiple("model.frames", model.frames, "model.tube_frames", model.tube_frames)
    _need_multiple("model.size", model.size, "model.patch", model.patch)
    _need_multiple("model.width", model.width, "model.heads", model.heads)
    _need_multiple("model.decoder_width", model.decoder_width, "model.decoder_heads", model.decoder_heads)
    if model.text_mean == "padded" and config.machine.varlen_attention:
        raise ConfigError(
            "machine.varlen_attention: its kernel lets [PAD] attend to no word, and model.text_mean=padded counts "
            "[PAD] in; take one of the two"
        )
    if model.text_mean == "padded" and config.mask.words == "dropped":
        raise ConfigError(
            "model.text_mean: padded counts [PAD] in, and with mask.words=dropped each process pads to another length; "
            "take words, or mask.words=kept"
        )
    for name in ("width", "decoder_width"):
        if getattr(model, name) % 2:
            raise ConfigError(f"model.{name}: {getattr(model, name)} is not possible; it takes an even number")


def _need_multiple(key: str, value: int, of: str, divisor: int) -> None:
    if value % divisor:
        raise ConfigError(f"{key}: {value} is not possible; it takes a multiple of {divisor} ({of})")


def _check_group(name: str, group: int, rows: int) -> None:
    if group == 1 or (group and rows % group):
        raise ConfigError(
            f"{name}.group: {group} is not possible; it takes 0 (all rows), or a number above 1 that divides the "
            f"{rows} rows of a part ({name}.batch / {name}.accumulate)"
        )


def _check_objectives(config: Config) -> None:
    objective = config.objective
    if objective.negatives == "hard" and objective.vtm and not objective.vtc:
        raise ConfigError(
            "objective.negatives: hard negatives are drawn by the similarity that objective.vtc trains, and that is "
            "off; switch it on, or use random ones"
        )
    own = objective.mvm or objective.mlm or objective.vtc or objective.vtm
    if config.is_pretrained and not own and not names_on(config, "objective"):
        raise ConfigError(
            "objective: all four objectives are off, so there is nothing to pre-train for; switch one on, "
            'or leave pre-training out with pretrain.length="0 steps"'
        )


def _check_data(config: Config) -> None:
    data = config.data
    if data.order == "shards" and not any(name.startswith("shards:") for name in (data.pretrain, data.finetune)):
        raise ConfigError(
            "data.order: shards is the order of packed corpora, and neither data.pretrain nor data.finetune is "
            "shards:DIR; pack one (python -m simvtp.data.pack), or take shuffled"
        )
    if config.machine.stream and data.order != "shards":
        raise ConfigError("machine.stream: shards are copied ahead in their order; it takes data.order=shards")
