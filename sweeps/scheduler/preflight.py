"""Checks before anything is submitted: errors that would fail every job are reported in seconds, without torch."""

from __future__ import annotations

import logging
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import orjson

from simvtp.config.file_digests import split as split_digest
from simvtp.config.file_digests import weight_files, weight_sources
from simvtp.config.schema import Config
from simvtp.errors import ConfigError, DataError
from simvtp.runtime.files import expanded
from sweeps.executors.base import Executor
from sweeps.executors.debug import Debug
from sweeps.executors.local import Local, visible_gpus
from sweeps.plan import Plan, Run
from sweeps.state.run_states import RunRegistry

log = logging.getLogger(__name__)

SAMPLED = 256  # videos of a training split whose files are looked for
HUB_SECONDS = 10.0
VOCABULARY = 30_522  # words of BERT's vocabulary; for the estimated size of weights
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]")


def check(plan: Plan, runs: Sequence[Run], registry: RunRegistry, executor: Executor) -> None:
    """Check what these runs need: corpora, tokenizer, weights, batch sizes, device, disk room, cluster.

    plan: of the command. runs: those that would start. Raises ConfigError with a paragraph for each problem.
    """
    configs = list({id(run.settings): run.settings for run in runs}.values())
    problems: dict[str, None] = {}  # in order, each once
    for config in configs:
        for part in (_corpora, _tokenizer, _weights, _batches, lambda config: _device(config, executor)):
            problems |= dict.fromkeys(_problems(part, config))
    problems |= dict.fromkeys(_problems(lambda _: _disk(runs, registry, executor), plan.base))
    problems |= dict.fromkeys(_problems(lambda _: executor.check(), plan.base))
    if problems:
        raise ConfigError("\n".join(["nothing was started:", *problems]))


def _problems(part: Callable[[Config], None], config: Config) -> Iterator[str]:
    try:
        part(config)
    except (ConfigError, DataError) as error:
        yield str(error)


def _corpora(config: Config) -> None:
    """Annotations are readable, and their videos exist."""
    data = config.data
    if config.is_pretrained:
        _videos(data.pretrain, "pretrain", data.missing, data.skip)
    for split in ("train", "val", "test"):  # galleries beside the test are of the embedded corpus alone, which is whole
        _videos(data.finetune, split, data.missing, data.skip)


@cache
def _videos(spec: str, split: str, missing: str, skip: str) -> Sequence[str]:
    """Ids of the videos of a split by its annotations; a sample of their files is looked for.

    The embedded corpus is not made here: its spec gives the number of videos. Raises DataError.
    """
    spec = split_digest(spec)[0]  # the content was compared with its digest when the config was resolved
    kind, _, place = spec.partition(":")
    if kind == "sprites":
        from simvtp.data.sprites.scenes import parse_spec

        made = parse_spec(place)
        counts = {"pretrain": made.clips, "train": made.finetune, "val": made.validation, "test": made.test}
        return range(counts.get(split, made.test_seen))  # type: ignore[return-value]
    from simvtp.data.annotations.video_files import find_videos
    from simvtp.data.corpora import registry  # loads readers and decoders: not for the embedded corpus
    from simvtp.data.corpora.skip_list import skipped
    from simvtp.data.corpora.spec import HINT

    records, root = registry.read_records(spec, split)
    training = split in ("pretrain", "train")
    if training and skip:
        left_out = skipped(skip, kind)
        records = [record for record in records if record.file not in left_out]
    if not records:
        raise DataError(f"{spec}, split {split}: its annotations list no video; {HINT}")
    sampled = records[:: max(1, len(records) // SAMPLED)] if training else records
    strict = not training and missing == "error"
    existing, lost = find_videos(sampled, root, strict=strict, corpus=f"{spec}, split {split}")
    if not existing:
        raise DataError(
            f"{spec}, split {split}: none of {len(sampled)} videos is there (the first would be {lost[0]}); {HINT}"
        )
    if lost:
        log.warning(f"{spec}, split {split}: {len(lost)} of {len(sampled)} videos looked for have no file")
    return [record.video_id for record in records]


def _batches(config: Config) -> None:
    """A training split holds at least one batch."""
    data = config.data
    for key, spec, split, stage, share in (
        ("pretrain", data.pretrain, "pretrain", config.pretrain, data.fraction),
        ("finetune", data.finetune, "train", config.finetune, 1.0),
    ):
        if key == "pretrain" and not config.is_pretrained:
            continue
        try:
            videos = _videos(spec, split, data.missing, data.skip)
        except DataError:
            continue  # `_corpora` says so
        count = len(videos)
        if share < 1 and isinstance(videos, range):
            count = round(count * share)
        elif share < 1:
            from simvtp.data.corpora.corpus import Corpus, Sample

            samples = tuple(Sample(video, Path(), ()) for video in videos)
            count = len(Corpus(spec, split, samples, "").fraction(share, config.seed).samples)
        if count < stage.batch:
            part = f" (data.fraction {share} of {len(videos)})" if share < 1 else ""
            raise ConfigError(
                f"{key}.batch: {stage.batch} is more than the {count} videos of {spec}, split {split}{part}; take a "
                "smaller batch, or more data"
            )


def _tokenizer(config: Config) -> None:
    """The vocabulary exists: beside the corpus, as a file or folder, in the hub's cache, or on the hub."""
    data, name = config.data, split_digest(config.data.tokenizer)[0]
    if name == "corpus":
        try:
            _videos(data.pretrain, "pretrain", data.missing, data.skip)
        except DataError:
            return  # there is no corpus to look beside, which `_corpora` says
    _check_tokenizer(name, split_digest(data.pretrain)[0])


@cache
def _check_tokenizer(name: str, spec: str) -> None:
    path = expanded(name)
    if name == "corpus":
        if spec.startswith("sprites:"):
            return
        from simvtp.data.corpora import registry

        vocabulary = registry.vocabulary(spec)
        if vocabulary is None:
            raise DataError(
                f"data.tokenizer: corpus, but there is no vocab.txt beside {spec}; put one there or name another, such "
                "as bert-base-uncased"
            )
        _check_vocabulary(vocabulary)
    elif path.is_dir():
        if not (path / "tokenizer.json").is_file():
            _check_vocabulary(path / "vocab.txt")
    elif path.is_file():
        _check_vocabulary(path)
    else:
        _check_hub(name)


def _check_vocabulary(path: Path) -> None:
    try:
        words = set(path.read_text(encoding="utf-8").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"data.tokenizer: {path} cannot be read as a list of words ({error})") from error
    lacking = [word for word in SPECIAL if word not in words and f"{word}\r" not in words]
    if lacking:
        raise DataError(f"data.tokenizer: {path} has no line {' or '.join(lacking)}; it must be a vocab.txt as of BERT")


def _check_hub(name: str) -> None:
    """A name that is no path exists in the hub's cache on this machine, or on the hub."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    try:
        if any(isinstance(try_to_load_from_cache(name, file), str) for file in ("tokenizer.json", "vocab.txt")):
            return
        if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
            raise OSError("HF_HUB_OFFLINE is set, and its cache on this machine does not hold it")
        HfApi().model_info(name, timeout=HUB_SECONDS)
    except Exception as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"data.tokenizer: {name!r} is no file or folder here, and the hub does not give it ({why}). Without a "
            "network, download it where there is one and give its folder or vocab.txt"
        ) from error


def _weights(config: Config) -> None:
    """Files of model.init are complete by their own headers."""
    if config.model.init:
        for source in weight_sources(config.model.init):
            for path in weight_files(source):
                _check_weights(path.resolve())


@cache
def _check_weights(path: Path) -> None:
    try:
        with path.open("rb") as file:
            if path.suffix == ".safetensors":
                length = int.from_bytes(file.read(8), "little")
                size = path.stat().st_size
                header = orjson.loads(file.read(length)) if length < size else None
                ends = [v["data_offsets"][1] for k, v in (header or {}).items() if k != "__metadata__"]
                whole = bool(ends) and size == 8 + length + max(ends)
            else:
                whole = zipfile.is_zipfile(path) or file.read(1) == b"\x80"  # torch's formats: zip, or a pickle
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"model.init: {path} cannot be read as weights ({error!r})") from error
    if not whole:
        raise ConfigError(f"model.init: {path} is damaged, or no file of weights; fetch it again")


def _device(config: Config, executor: Executor) -> None:
    if config.machine.device == "cuda" and isinstance(executor, Local | Debug) and not visible_gpus():
        raise ConfigError(
            "machine.device: cuda, and this machine shows no GPU; take auto or cpu, or name a cluster with --cluster"
        )


def _disk(runs: Sequence[Run], registry: RunRegistry, executor: Executor) -> None:
    """The disk has room for one run at least; logs a warning if it has not for all."""
    if not runs:
        return
    folder = registry.results.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    stages = {run.stage: run for run in runs if run.stage is not None and not registry.is_pretrained(run.stage)}
    weights = sum(4 * parameters(run.config) for run in stages.values())
    weights += sum(2 * 4 * 2 * parameters(run.config) for run in runs)  # last and chosen epoch, of two encoders
    work = max(3 * 16 * parameters(run.config) for run in runs)  # checkpoints: two kept, one being written
    at_once = min(executor.capacity, len(runs))
    if free < work:
        raise ConfigError(
            f"--results {registry.results}: {_gib(free)} are free, and the checkpoints of one run take about "
            f"{_gib(work)}; make room, or name another folder"
        )
    if free < weights + at_once * work:
        log.warning(
            f"{registry.results}: {_gib(free)} are free, and {len(runs)} runs take about "
            f"{_gib(weights + at_once * work)}; jobs wait when the disk is full"
        )


def parameters(config: Config) -> int:
    """Approximate number of parameters of the model: 12 width^2 a layer, and the word embeddings."""
    model = config.model
    layers = 12 * model.depth * model.width**2 + 12 * model.decoder_depth * model.decoder_width**2
    return layers + VOCABULARY * model.width


def _gib(count: float) -> str:
    return f"{count / 2**30:.1f} GiB"


def prepare_corpora(plan: Plan) -> None:
    """Make the embedded corpus and the frame caches before jobs start, so that jobs do not wait for each other.

    Raises DataError.
    """
    for spec, split, cached in sorted(_splits(plan.runs.values())):
        _prepare(spec, split, cached=cached)


def _splits(runs: Iterable[Run]) -> set[tuple[str, str, bool]]:
    """(corpus, split, whether frames are cached) of all runs."""
    from simvtp.data.corpora.registry import EXTRA_TESTS

    wanted: set[tuple[str, str, bool]] = set()
    for config in {id(run.settings): run.settings for run in runs}.values():
        data, cached = config.data, config.machine.frame_cache
        if config.is_pretrained:
            wanted.add((data.pretrain, "pretrain", cached))
        extra = EXTRA_TESTS.get(data.finetune.partition(":")[0], ())
        wanted |= {(data.finetune, split, cached) for split in ("train", "val", "test", *extra)}
    return wanted


def _prepare(spec: str, split: str, *, cached: bool) -> None:
    from simvtp.data.corpora.registry import load
    from simvtp.data.frame_cache import is_cached, open_frames

    corpus = load(spec, split)
    if cached and is_cached(corpus):
        open_frames([sample.path for sample in corpus.samples], f"{spec}, {split}")
