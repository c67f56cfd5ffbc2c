"""What a config field may hold, and the one-paragraph error where it holds something else."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simvtp.config.schema import Config, Optimisation
from simvtp.errors import ConfigError, nearest

MASK_KINDS = ("tube", "frame", "random")


RAND_AUGMENT = re.compile(r"m(10|[0-9](?:\.[0-9]+)?)-n([1-9][0-9]*)")


GRID = re.compile(r"[1-9][0-9]*x[1-9][0-9]*x[1-9][0-9]*")


CHOICES = {
    "model.towers": ("separate", "shared"),
    "mask.words": ("kept", "dropped"),
    "data.queries": ("caption", "paragraph"),
    "data.missing": ("error", "miss"),
    "data.order": ("shuffled", "shards", "lengths"),
    "data.reader": ("auto", "pyav", "decord", "torchcodec"),
    "objective.contrast": ("masked", "clean"),
    "objective.negatives": ("random", "hard"),
    "machine.products": ("torch", "onednn", "auto"),
}


PRECISIONS = ("fp32", "bf16")


CROPS = ("none", "multiscale", "resized")


FLIPS = ("none", "safe", "all")


Need = Callable[[bool, str, object, str | Collection[str]], None]


_NUMBER_UNIT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(steps?|epochs?)\s*")


def steps_of(length: str, steps_per_epoch: int, key: str = "length") -> int:
    """Optimiser steps of a length such as "600 steps" or "2.5 epochs".

    Raises ConfigError, naming `key`, where `length` is neither.
    """
    match = _NUMBER_UNIT.fullmatch(length)
    if not match:
        raise ConfigError(f'{key}: "{length}" is not a length; write it like "600 steps" or "20 epochs"')
    number = float(match[1])
    if match[2].startswith("step"):
        if not number.is_integer():
            raise ConfigError(f'{key}: "{length}" is not a whole number of steps')
        return int(number)
    return round(number * steps_per_epoch)


def validate(config: Config) -> None:
    """Raise ConfigError for the first field that cannot be run."""
    model, mask, data = config.model, config.mask, config.data

    def need(ok: bool, key: str, value: object, takes: str | Collection[str]) -> None:
        if not ok:
            told = takes if isinstance(takes, str) else " or ".join(takes) + nearest(str(value), takes)
            raise ConfigError(f"{key}: {value!r} is not possible; it takes {told}")

    for part in dataclasses.fields(config):
        section = getattr(config, part.name)
        for name, value in vars(section).items() if dataclasses.is_dataclass(section) else ():
            if isinstance(value, float):
                need(math.isfinite(value), f"{part.name}.{name}", value, "a finite number")
    for name in ("frames", "size", "tube_frames", "patch", "width", "depth", "heads", "decoder_width",
                 "decoder_depth", "decoder_heads"):  # fmt: skip
        need(getattr(model, name) >= 1, f"model.{name}", getattr(model, name), "a whole number from 1")
    need(
        model.frames % model.tube_frames == 0,
        "model.frames",
        model.frames,
        f"a multiple of {model.tube_frames}",
    )
    need(model.size % model.patch == 0, "model.size", model.size, f"a multiple of model.patch ({model.patch})")
    for width, heads in (("width", "heads"), ("decoder_width", "decoder_heads")):
        need(getattr(model, width) % getattr(model, heads) == 0, f"model.{width}", getattr(model, width),
             f"a multiple of model.{heads} ({getattr(model, heads)})")  # fmt: skip
    need(model.width % 2 == 0 and model.decoder_width % 2 == 0, "model.width", model.width, "an even number")
    need(3 <= model.words <= 512, "model.words", model.words, "a whole number from 3 to 512")
    need(not model.positions or bool(GRID.fullmatch(model.positions)), "model.positions", model.positions,
         "a grid of tubes, slots x rows x columns, such as 8x14x14, or nothing")  # fmt: skip
    need(0 <= model.dropout < 1, "model.dropout", model.dropout, "a share in [0, 1)")
    for name in ("video", "text"):
        need(
            0 <= getattr(mask, name) < 1,
            f"mask.{name}",
            getattr(mask, name),
            "a ratio in [0, 1), such as 0.75",
        )
    need(mask.kind in MASK_KINDS, "mask.kind", mask.kind, MASK_KINDS)
    for name in ("mvm", "mlm", "vtc", "vtm"):
        weight = getattr(config.objective, name)
        need(weight >= 0, f"objective.{name}", weight, "a weight from 0 (off), or true or false")
    need(
        config.objective.temperature > 0,
        "objective.temperature",
        config.objective.temperature,
        "a positive number",
    )
    for key, known in CHOICES.items():
        section, _, name = key.partition(".")
        value = getattr(getattr(config, section), name)
        need(value in known, key, value, known)
    need(0 < mask.decoded <= 1, "mask.decoded", mask.decoded, "a share in (0, 1]")
    if config.objective.negatives == "hard" and config.objective.vtm and not config.objective.vtc:
        raise ConfigError(
            "objective.negatives: hard negatives are drawn by the similarity that objective.vtc trains, and that is "
            "off; switch it on, or use random ones"
        )
    need(0 < data.fraction <= 1, "data.fraction", data.fraction, "a share in (0, 1]")
    need(data.decode_seconds > 0, "data.decode_seconds", data.decode_seconds, "seconds above 0")
    need(0 <= data.failures <= 1, "data.failures", data.failures, "a share in [0, 1]")
    if data.order == "shards" and not any(name.startswith("shards:") for name in (data.pretrain, data.finetune)):
        raise ConfigError(
            "data.order: shards is the order of packed corpora, and neither data.pretrain nor data.finetune is "
            "shards:DIR; pack one (python -m simvtp.data.pack), or take shuffled"
        )
    if config.machine.stream and data.order != "shards":
        raise ConfigError("machine.stream: shards are copied ahead in their order; it takes data.order=shards")
    need(data.stride >= 1, "data.stride", data.stride, "a whole number from 1")
    for name in ("pretrain", "finetune"):
        _validate_optimisation(name, getattr(config, name), need)
    objectives = config.objective
    if steps_of(config.pretrain.length, 1_000_000) and not (
        objectives.mvm or objectives.mlm or objectives.vtc or objectives.vtm
    ):
        raise ConfigError(
            "objective: all four objectives are off, so there is nothing to pre-train for; switch one on, "
            'or leave pre-training out with pretrain.length="0 steps"'
        )
    need(config.evaluate.segments >= 1, "evaluate.segments", config.evaluate.segments, "a whole number from 1")
    need(config.evaluate.crops in (1, 3), "evaluate.crops", config.evaluate.crops, "1 or 3")
    need(config.evaluate.rerank >= 0, "evaluate.rerank", config.evaluate.rerank, "a whole number, 0 for none")
    given = model.init or steps_of(config.pretrain.length, 1_000_000)
    if config.evaluate.rerank and not (config.objective.vtm and given):
        raise ConfigError(
            "evaluate.rerank: candidates are judged by the matching head that pre-training with objective.vtm leaves, "
            "or that model.init holds, and this config has none; switch objective.vtm on, or set evaluate.rerank=0"
        )
    need(config.evaluate.every >= 1, "evaluate.every", config.evaluate.every, "a whole number from 1")
    need(
        config.machine.device in ("auto", "cpu", "cuda"),
        "machine.device",
        config.machine.device,
        "auto, cpu or cuda",
    )
    need(config.machine.threads >= 0, "machine.threads", config.machine.threads, "a whole number from 0")
    need(config.machine.workers >= 0, "machine.workers", config.machine.workers, "a whole number from 0")
    need(config.machine.checkpoint_seconds > 0, "machine.checkpoint_seconds", config.machine.checkpoint_seconds,
         "seconds above 0")  # fmt: skip
    need(config.seed >= 0, "seed", config.seed, "a whole number from 0")


def _validate_optimisation(name: str, stage: Optimisation, need: Need) -> None:
    steps_of(stage.length, 1, f"{name}.length")
    steps_of(stage.warmup, 1, f"{name}.warmup")
    need(stage.batch >= 2, f"{name}.batch", stage.batch, "a whole number from 2")
    need(stage.accumulate >= 1 and stage.batch % stage.accumulate == 0, f"{name}.accumulate", stage.accumulate,
         f"a divisor of the batch ({stage.batch})")  # fmt: skip
    for key in ("lr", "lr_start", "lr_end", "weight_decay"):
        need(getattr(stage, key) >= 0, f"{name}.{key}", getattr(stage, key), "a number from 0")
    for key in ("beta1", "beta2", "drop_path", "ema"):
        need(0 <= getattr(stage, key) < 1, f"{name}.{key}", getattr(stage, key), "a number in [0, 1)")
    need(0 < stage.layer_decay <= 1, f"{name}.layer_decay", stage.layer_decay, "a number in (0, 1]")
    need(stage.crop in CROPS, f"{name}.crop", stage.crop, CROPS)
    need(not stage.rand_augment or bool(RAND_AUGMENT.fullmatch(stage.rand_augment)), f"{name}.rand_augment",
         stage.rand_augment, "a magnitude up to 10 and a number of operations, such as m7-n4, or nothing")  # fmt: skip
    need(stage.flip in FLIPS, f"{name}.flip", stage.flip, FLIPS)
    need(0 <= stage.erasing <= 1, f"{name}.erasing", stage.erasing, "a chance in [0, 1]")
    need(stage.precision in PRECISIONS, f"{name}.precision", stage.precision, PRECISIONS)
