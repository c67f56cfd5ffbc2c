"""The corpora, tokenizer and decoding that a config names."""

from __future__ import annotations

from typing import Literal

import torch

from simvtp.config.file_digests import split as split_digest
from simvtp.config.optimisation import Optimisation
from simvtp.config.plugins.usage import active
from simvtp.config.schema import Config
from simvtp.data.corpora.content import Use, pinned_corpus
from simvtp.data.corpora.registry import Corpus, load
from simvtp.data.tokenizer import Tokenizer, load_tokenizer
from simvtp.data.train_loader import CPU, TrainLoader
from simvtp.data.transforms import Augmentation, PluginAugmentation
from simvtp.data.video.sampling import FrameSampling
from simvtp.data.video.video import Decoding
from simvtp.distributed.process_group import decide
from simvtp.errors import ConfigError


def tokenizer_of(config: Config) -> Tokenizer:
    """One tokenizer for both stages; the embedded vocabulary belongs to the pre-training corpus."""
    return load_tokenizer(config.data.tokenizer, config.data.pretrain)


def pretraining_corpus(config: Config) -> Corpus:
    """The config's share of the pre-training videos; raises ConfigError if that is less than one batch."""
    _verify("pretrain", config.data.pretrain)
    whole = load(config.data.pretrain, "pretrain", skip=config.data.skip)
    corpus = whole.fraction(config.data.fraction, config.seed)
    if len(corpus.samples) < config.pretrain.batch:
        raise ConfigError(
            f"data.fraction {config.data.fraction} of {config.data.pretrain} leaves {len(corpus.samples)} of "
            f"{len(whole.samples)} videos, less than one batch (pretrain.batch {config.pretrain.batch})"
        )
    return corpus


def retrieval_corpus(config: Config, split: str) -> Corpus:
    """A split of the fine-tuning corpus, its videos searched by captions or by paragraphs."""
    _verify("finetune", config.data.finetune)
    corpus = load(config.data.finetune, split, missing=config.data.missing, skip=config.data.skip)
    return corpus.paragraphs() if config.data.queries == "paragraph" else corpus


def _verify(use: Use, spec: str) -> None:
    """Raise ConfigError where a corpus is no more what the digest of a resolved config says."""
    if split_digest(spec)[1]:
        decide(lambda: pinned_corpus(use, spec))


def build_train_loader(
    config: Config, stage: Literal["pretrain", "finetune"], corpus: Corpus, tokenizer: Tokenizer,
    device: torch.device = CPU,
) -> TrainLoader:  # fmt: skip
    """This process's rows of the training batches of a stage. device: where it trains."""
    optimisation: Optimisation = getattr(config, stage)
    return TrainLoader(
        corpus, tokenizer, sampling=frame_sampling(config, stage), size=config.model.size, crop=optimisation.crop,
        crop_area=optimisation.crop_area, augmentation=augmentation_of(config, stage), batch=optimisation.batch,
        accumulate=optimisation.accumulate, words=config.model.words, seed=config.seed, captions=config.data.captions,
        workers=config.machine.workers, cache=config.machine.frame_cache, failures=config.data.failures,
        decoding=decoding_of(config), order=config.data.order, stream=config.machine.stream,
        device=device,
    )  # fmt: skip


def frame_sampling(config: Config, stage: Literal["pretrain", "finetune"]) -> FrameSampling:
    """Which frames clips take: of pre-training at data.stride; of fine-tuning and test at data.finetune_stride."""
    stride = config.data.stride if stage == "pretrain" else config.data.finetune_stride
    return FrameSampling(config.model.frames, stride, config.data.short, stage)


def augmentation_of(config: Config, stage: Literal["pretrain", "finetune"]) -> Augmentation:
    """What a stage does to its training clips beside the crop; raises ConfigError where a plugin is not loaded."""
    own: Optimisation = getattr(config, stage)
    added = (PluginAugmentation(name, chance, change) for name, (chance, change) in active(config, stage).items())
    return Augmentation(own.rand_augment, own.flip, own.erasing, tuple(added))


def decoding_of(config: Config) -> Decoding:
    """How video files are read."""
    return Decoding(config.data.reader, config.data.decode_seconds)
