"""Files that a config names -> their absolute paths and the digests of their content, which the ids hang on.

Every command resolves what was typed before it computes an id or starts work. A resolved config says which content is
meant, also on a machine or in a job where the files are not; when they are read, other content is refused.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from simvtp.cli import config_from
from simvtp.config.experiment import Experiment
from simvtp.config.file_digests import pin, pinned_weights, split
from simvtp.config.schema import Config, override
from simvtp.data.corpora import skip_list
from simvtp.data.corpora.content import pinned_corpus
from simvtp.data.corpora.spec import CorpusSpec
from simvtp.errors import DataError
from simvtp.runtime.files import expanded


def experiment_from(arguments: argparse.Namespace, *, pretrain_only: bool = False) -> Experiment:
    """The run that the options of `simvtp.cli.add_config_arguments` describe, resolved; raises as `resolved` does."""
    config = resolved(config_from(arguments), pretrain_only=pretrain_only)
    return Experiment(config, arguments.preset, arguments.results)


def resolved(config: Config, *, pretrain_only: bool = False) -> Config:
    """The config with a digest of the content of each file and corpus that it names, and absolute paths.

    Values that have a digest are compared with what is there. pretrain_only: leave data.finetune as it is, which
    pre-training does not read. Raises ConfigError or DataError if something is missing, cannot be read, or is not
    what its digest says.
    """
    data = config.data
    changes = {"model.init": pinned_weights(config.model.init), "data.skip": skip_list.pinned(data.skip)}
    if config.is_pretrained:
        changes["data.pretrain"] = pinned_corpus("pretrain", data.pretrain)
    if not pretrain_only:
        changes["data.finetune"] = pinned_corpus("finetune", data.finetune)
    changes["data.tokenizer"] = pinned_tokenizer(data.tokenizer, data.pretrain)
    return override(config, changes)


def pinned_tokenizer(name: str, corpus: str) -> str:
    """data.tokenizer with the digest of its vocabulary file; a name on the hub, and the embedded corpus, as they are.

    Raises DataError if there is no vocabulary, ConfigError where it is not the one of a digest that is given.
    """
    place, _ = split(name)
    if place == "corpus" and CorpusSpec.parse(corpus).kind == "sprites":
        return name
    from simvtp.data.corpora import registry  # loads readers and decoders: not for the embedded corpus

    file = registry.vocabulary(corpus) if place == "corpus" else _vocabulary_file(expanded(place))
    if file is None:
        if place == "corpus":
            raise DataError(
                f"data.tokenizer: corpus, but there is no vocab.txt beside {split(corpus)[0]}; python -m "
                "simvtp.data.vocabulary makes one of its captions; or name another, such as bert-base-uncased"
            )
        return name
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    kept = name if place == "corpus" else name.replace(place, str(expanded(place).absolute()), 1)
    return pin("data.tokenizer", kept, digest)


def _vocabulary_file(path: Path) -> Path | None:
    """The file of a vocabulary on this disk; None for what is a name on the hub."""
    candidates = (path / "tokenizer.json", path / "vocab.txt") if path.is_dir() else (path,)
    return next((file for file in candidates if file.is_file()), None)
