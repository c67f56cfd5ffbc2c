"""The ids of a run and of its pre-training stage: a hash of what can change their outcome, nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from simvtp.config.fields import PRETRAIN, RUN
from simvtp.config.file_digests import digest_of_weights, pinned_weights
from simvtp.config.schema import FIELDS, Config, flatten, override
from simvtp.data.corpora import skip_list

# Part of every id: raised when a change of code changes what the same config gives.
OUTCOME_VERSION = 2


def pretrain_id(config: Config) -> str | None:
    """Id of the pre-training stage: what can change its weights, nothing else. None: no pre-training.

    Settings of an objective that is off do not count: without MVM there is no decoder, without VTC no temperature.
    """
    return _digest({"version": OUTCOME_VERSION, **_content(config, PRETRAIN)}) if config.is_pretrained else None


def run_id(config: Config) -> str:
    """Id of the run: its pre-training stage and what fine-tuning and evaluation depend on."""
    return _digest({"version": OUTCOME_VERSION, "pretrain": pretrain_id(config), **_content(config, RUN)})


def _content(config: Config, stage: str) -> dict[str, Any]:
    """The fields that count in an id, without those that came later and stand at what the code did before.

    Raises ConfigError where model.init comes without a digest and a file of it is not there.
    """
    content = {}
    for (path, value), field in zip(flatten(config).items(), FIELDS.values(), strict=True):
        if stage not in field.in_id or (field.is_later and value == field.default):
            continue
        if stage == PRETRAIN and field.pretrain_if is not None and not field.pretrain_if(config):
            continue
        content[path] = _CONTENT_OF[path](value) if path in _CONTENT_OF else value
    return content


# What is in the files that a setting names, not where they lie.
_CONTENT_OF: dict[str, Callable[[str], str]] = {"model.init": digest_of_weights, "data.skip": skip_list.digest}


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def resolved(config: Config) -> Config:
    """The config with a digest of each file that it names (simvtp/config/file_digests.py), so that its ids need them
    no more.

    Raises ConfigError or DataError where such a file is missing, or is not the one of a digest that is given.
    """
    return override(
        config, {"model.init": pinned_weights(config.model.init), "data.skip": skip_list.pinned(config.data.skip)}
    )
