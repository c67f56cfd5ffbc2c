"""The ids of a run and of its pre-training stage: hashes of everything that can change their results."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from simvtp.config.fields import PRETRAIN, RUN
from simvtp.config.file_digests import digest_of_weights, split
from simvtp.config.plugins.registry import IDS
from simvtp.config.plugins.source import parse_record
from simvtp.config.plugins.usage import used
from simvtp.config.schema import OWN_FIELDS, Config, flatten
from simvtp.errors import ConfigError, brief
from simvtp.runtime.constants import SPRITES_VERSION

# Part of every id: raised when a change of the code changes the results of a config.
OUTCOME_VERSION = 3

CORPORA = ("data.pretrain", "data.finetune")
FILES = frozenset(("model.init", "data.skip", "data.tokenizer", *CORPORA))  # fields that name files to be resolved


def pretrain_id(config: Config) -> str | None:
    """Id of the pre-training stage: a hash of everything that can change its weights. None: no pre-training.

    Settings of an objective that is off do not count: without MVM there is no decoder, without VTC no temperature.
    """
    return _digest({"version": OUTCOME_VERSION, **_content(config, PRETRAIN)}) if config.is_pretrained else None


def run_id(config: Config) -> str:
    """Id of the run: its pre-training stage and what fine-tuning and evaluation depend on."""
    return _digest({"version": OUTCOME_VERSION, "pretrain": pretrain_id(config), **_content(config, RUN)})


def _content(config: Config, stage: str) -> dict[str, Any]:
    """The fields that count in an id, without those that came later and stand at what the code did before.

    Raises ConfigError if a corpus or list comes without a digest, or model.init does and a file is not there.
    """
    content, values = {}, flatten(config)
    for path, field in OWN_FIELDS.items():
        value = values[path]
        if stage not in field.in_id or (field.is_later and value == field.default):
            continue
        if stage == PRETRAIN and field.pretrain_if is not None and not field.pretrain_if(config):
            continue
        if (path in CORPORA or path == "data.skip") and value and not _is_known(value):
            raise ConfigError(
                f"{path}: {brief(value)} has no digest of its content yet; resolve the config (simvtp.data.resolve)"
            )
        content[path] = content_of(path, value)
    return content | dict(used(config, IDS, stage))


def _is_known(value: str) -> bool:
    """Whether a corpus or list says its content: by a digest, or, of the embedded corpus, by its spec."""
    return value.startswith("sprites:") or bool(split(value)[1])


def content_of(path: str, value: Any) -> Any:
    """A field's value with the content of what it names in place of where that lies, as far as its digest says it.

    Equal contents are the same experiment: ids, and the names of sweeps, are made of these. The embedded corpus is its
    spec and the version of its generator.
    """
    if path == "plugins":
        return {key: entry.digest for key, entry in parse_record(value).items()}
    if path not in FILES or not value:
        return value
    place, digest = split(value)
    if path == "model.init":
        return digest_of_weights(value)
    if path in CORPORA and place.startswith("sprites:"):
        return f"{place}@{SPRITES_VERSION}"
    if not digest:
        return place
    return f"{place.partition(':')[0]}:#{digest}" if path in CORPORA else digest


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
