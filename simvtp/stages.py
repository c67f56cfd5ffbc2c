"""Where the two stages of a run live on disk, and what both need before they start."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from simvtp import products
from simvtp.config import Config, Machine, Optimisation, flatten
from simvtp.data.augmentation import Augmentation
from simvtp.data.corpora import Corpus, load
from simvtp.data.text import Tokenizer, load_tokenizer
from simvtp.data.video import Decoding
from simvtp.distributed import leads, size
from simvtp.files import write_json
from simvtp.foreign import put, read
from simvtp.homes import RUNS, STAGES, home
from simvtp.identity import pretrain_id, run_id
from simvtp.memory import keep_freed_memory
from simvtp.model import SimVTP
from simvtp.randomness import seeded
from simvtp.validation import ConfigError

# data.queries -> the corpus as it is searched
QUERIES: dict[str, Callable[[Corpus], Corpus]] = {
    "caption": lambda corpus: corpus,
    "paragraph": lambda corpus: corpus.paragraphs(),
}


def run_folder(config: Config, results: Path) -> Path:
    return home(results, RUNS, run_id(config))


def pretrain_folder(config: Config, results: Path) -> Path | None:
    """None where the config has no pre-training."""
    stage = pretrain_id(config)
    return None if stage is None else home(results, STAGES, stage)


def write_config(folder: Path, config: Config, preset: str) -> None:
    """config.json of a run or stage, written once."""
    if not (folder / "config.json").exists():
        write_json(folder / "config.json", {"preset": preset, "config": flatten(config)})


def use_machine(machine: Machine) -> torch.device:
    """Set memory, products and threads and give the device; raises RuntimeError where CUDA is asked for and absent."""
    keep_freed_memory()
    products.use(machine.products, recompute=machine.recompute)
    if machine.threads:
        torch.set_num_threads(machine.threads)
    if machine.device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("machine.device: cuda is asked for, but torch sees no GPU; use auto or cpu")
    cuda = machine.device == "cuda" or (machine.device == "auto" and torch.cuda.is_available())
    # of several processes, each has been given its own GPU when they joined
    if cuda and size() > 1:
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cuda" if cuda else "cpu")


def tokenizer_of(config: Config) -> Tokenizer:
    """One tokenizer for both stages; the embedded vocabulary belongs to the pre-training corpus."""
    return load_tokenizer(config.data.tokenizer, config.data.pretrain)


def pretraining_corpus(config: Config) -> Corpus:
    """The share of the pre-training videos that the config asks for, at least one batch of them."""
    whole = load(config.data.pretrain, "pretrain", skip=config.data.skip)
    corpus = whole.fraction(config.data.fraction, config.seed)
    if len(corpus.samples) < config.pretrain.batch:
        raise ValueError(
            f"data.fraction {config.data.fraction} of {config.data.pretrain} leaves {len(corpus.samples)} of "
            f"{len(whole.samples)} videos, less than one batch (pretrain.batch {config.pretrain.batch})"
        )
    return corpus


def retrieval_corpus(config: Config, split: str) -> Corpus:
    """A split of the fine-tuning corpus, its videos searched by captions or by paragraphs."""
    corpus = load(config.data.finetune, split, missing=config.data.missing, skip=config.data.skip)
    return QUERIES[config.data.queries](corpus)


def augmentation_of(stage: Optimisation) -> Augmentation:
    """What a stage does to its training clips beside the crop."""
    return Augmentation(stage.rand_augment, stage.flip, stage.erasing)


def decoding_of(config: Config) -> Decoding:
    """How video files are read."""
    return Decoding(config.data.reader, config.data.decode_seconds)


def fresh_model(config: Config, tokenizer: Tokenizer) -> SimVTP:
    # torch's own initialisation, which SimVTP draws anew, must not touch the global state.
    with seeded(config.seed, "construction"):
        return SimVTP(config, tokenizer.size)


def starting_model(config: Config, tokenizer: Tokenizer) -> SimVTP:
    """A model as training starts from it: from the weights of model.init, the rest drawn from the seed."""
    model = fresh_model(config, tokenizer)
    if config.model.init:
        given = read(config.model.init, config.model)
        if given.dual:
            raise ConfigError(
                f"model.init: {config.model.init} holds two fine-tuned encoders, and pre-training has one; start "
                'fine-tuning from it with pretrain.length="0 steps"'
            )
        tell(put(given, model, config))
    return model


def warn_of_slow_bf16(name: str, stage: Optimisation, device: torch.device) -> None:
    """Say so where this processor has no products of bf16, which torch then imitates; results do not change by it."""
    if device.type == "cpu" and stage.precision == "bf16" and not products.multiplies_bf16(products.PROCESSOR):
        slow = "this processor has no products of bf16: a step was measured 3.6 times as long as in fp32"
        tell([f"{name}: {slow} (docs/performance.md); --set {name}.precision=fp32 is another run, and faster"])


def tell(lines: Iterable[str]) -> None:
    """Lines to stderr, once for all processes."""
    if leads():
        for line in lines:
            say(line)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
