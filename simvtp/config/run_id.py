"""The ids of a run and of its pre-training stage: a hash of what can change their outcome, nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from simvtp.config.schema import Config, flatten, later_fields, override
from simvtp.config.validation import steps_of
from simvtp.config.weight_files import digest, pinned
from simvtp.data.corpora import skip_list

# Part of every id: raised when a change of code changes what the same config gives.
OUTCOME_VERSION = 2


def is_pretrained(config: Config) -> bool:
    """Whether the run has a pre-training stage at all."""
    return steps_of(config.pretrain.length, 1_000_000) > 0


def _telling(config: Config) -> dict[str, Any]:
    """The flat config without fields that came later and stand at what the code did before.

    Raises ConfigError where model.init comes without a digest and a file of it is not there.
    """
    before = later_fields()
    told = {key: value for key, value in flatten(config).items() if key not in before or value != before[key]}
    if config.model.init:
        told["model.init"] = digest(config.model.init)  # what is in the files, not where they lie
    if config.data.skip:
        told["data.skip"] = skip_list.digest(config.data.skip)
    return told


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def pretrain_id(config: Config) -> str | None:
    """Id of the pre-training stage: what can change its weights, nothing else. None: no pre-training.

    Settings of an objective that is off do not count: without MVM there is no decoder, without VTC no temperature.
    """
    if not is_pretrained(config):
        return None
    flat = _telling(config)
    content = {k: v for k, v in flat.items() if k.partition(".")[0] in ("model", "mask", "objective", "pretrain")}
    given = ("data.pretrain", "data.tokenizer", "data.fraction", "data.stride", "data.skip", "data.reader",
             "data.order", "seed")  # fmt: skip
    content |= {k: flat[k] for k in given if k in flat}
    unused = {"pretrain.layer_decay", "model.towers"}  # pre-training has one rate for all layers, and one encoder
    objective = config.objective
    if not (objective.mvm or (objective.mlm and config.mask.words == "dropped")):
        unused |= {k for k in content if k.startswith("model.decoder_")}
    if not objective.mvm:
        unused.add("mask.decoded")
    if not objective.vtc:
        unused |= {"objective.temperature", "objective.learn_temperature", "objective.contrast"}
    if not objective.vtm:
        unused.add("objective.negatives")
    return _digest({"version": OUTCOME_VERSION, **{k: v for k, v in content.items() if k not in unused}})


def run_id(config: Config) -> str:
    """Id of the run: its pre-training stage and what fine-tuning and evaluation depend on."""
    flat = _telling(config)
    content = {k: v for k, v in flat.items() if k.partition(".")[0] in ("model", "finetune", "evaluate")}
    content = {k: v for k, v in content.items() if not k.startswith("model.decoder_")}
    others = ("data.finetune", "data.tokenizer", "data.queries", "data.missing", "data.skip", "data.reader",
              "data.order", "seed", "objective.temperature", "objective.learn_temperature")  # fmt: skip
    content |= {k: flat[k] for k in others if k in flat}
    return _digest({"version": OUTCOME_VERSION, "pretrain": pretrain_id(config), **content})


def resolved(config: Config) -> Config:
    """The config with a digest of each file that it names (simvtp/config/file_digests.py), so that its ids need them
    no more.

    Raises ConfigError or DataError where such a file is missing, or is not the one of a digest that is given.
    """
    return override(config, {"model.init": pinned(config.model.init), "data.skip": skip_list.pinned(config.data.skip)})
