"""Measurements on the test galleries: of the chosen epoch, of the last one, controls, and options of the config."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from simvtp.config.experiment import Experiment
from simvtp.config.plugins.usage import active
from simvtp.config.schema import Config
from simvtp.data.corpora.corpus import Sample
from simvtp.data.corpora.registry import EXTRA_TESTS
from simvtp.data.gallery_loader import GalleryLoader
from simvtp.data.tokenizer import Tokenizer
from simvtp.distributed.process_group import log_lines
from simvtp.errors import ConfigError
from simvtp.evaluation.encode import (
    Look,
    as_filmed,
    encode_captions,
    encode_gallery,
    encode_videos,
    frozen,
    gallery,
    shuffled,
)
from simvtp.evaluation.metrics import (
    Floats,
    Retrieval,
    both_directions,
    dual_softmax,
    ranked,
    similarities,
    without_absent,
)
from simvtp.evaluation.rerank import candidates, matching, reranked
from simvtp.models.dual_encoder import DualEncoder
from simvtp.runtime.files import read_json
from simvtp.training.checkpoint import load_weights
from simvtp.training.load import pretrained_model


@dataclass(frozen=True)
class EncodedGallery:
    """The test gallery as the chosen epoch encodes it.

    config: of the run. videos, captions: unit features, float [N, D] and [Q, D], in the order of the corpus. owner: the
    row of each caption's video. samples: ids, paths and captions of the videos. absent: rows of videos that could not
    be read, whose features mean nothing.
    """

    config: Config
    videos: Floats
    captions: Floats
    owner: Sequence[int]
    samples: Sequence[Sample]
    absent: frozenset[int]


def evaluated(gallery: EncodedGallery) -> dict[str, dict[str, float]]:
    """Plugin evaluator -> number by name, of those that are on (docs/extend.md).

    Raises ConfigError if one gives something else.
    """
    results = {}
    for name, (_, evaluator) in active(gallery.config, "evaluate").items():
        numbers = evaluator(gallery)
        if not isinstance(numbers, Mapping) or not numbers:
            raise ConfigError(f"evaluate.{name}: it gives {numbers!r:.60}; it must give numbers by name")
        for key, value in numbers.items():
            if not isinstance(value, int | float | np.number) or not math.isfinite(value):
                raise ConfigError(f"evaluate.{name}: {key} is {value!r:.60}; it must be a finite number")
        results[name] = {str(key): float(value) for key, value in numbers.items()}
    return results


def score(model: DualEncoder, experiment: Experiment, tokenizer: Tokenizer, device: torch.device) -> dict[str, Any]:
    """`metrics`, `controls` and `ranks` of result.json for a fine-tuned run; where videos have several
    captions also `owners`, the video of each query of the test split; `missed`, test videos that were not there; and
    `evaluators`, the numbers of plugins.

    The test videos are decoded once for all that the two encoders give, and once more where candidates are re-ranked.
    """
    config, folder = experiment.config, experiment.dir
    load_weights(model, folder / "finetuned.safetensors")
    finetuned = read_json(folder / "finetuned.json")
    looks = [Look(model, as_filmed), Look(model, frozen), Look(model, shuffled(config.seed))]
    last = model
    if finetuned["epoch"] != finetuned["epochs"]:  # else the chosen weights are the last ones
        last = copy.deepcopy(model)
        load_weights(last, folder / "last.safetensors")
        looks.append(Look(last, as_filmed))

    test = gallery(config, tokenizer, "test", views=True)
    captions = encode_captions(model, test, config, device)
    videos, still, mixed, *videos_last = encode_videos(looks, test, config, device)
    scored = {"test": both_directions(videos, captions, test.owner, test.absent)}
    scored["test_last_epoch"] = scored["test"]
    if videos_last:
        captions_last = encode_captions(last, test, config, device)
        scored["test_last_epoch"] = both_directions(videos_last[0], captions_last, test.owner, test.absent)
    learned = config.objective.temperature if model.temperature is None else float(model.temperature().detach())
    if config.evaluate.dual_softmax or config.evaluate.rerank:  # these hold the whole matrix
        similarity = without_absent(similarities(videos, captions), test.absent)
        scored |= _optional(similarity, learned, test, experiment, tokenizer, device)
    for name in EXTRA_TESTS.get(config.data.finetune.partition(":")[0], ()):
        extra = gallery(config, tokenizer, name, views=True)
        scored[name] = both_directions(*encode_gallery(model, extra, config, device), extra.owner, extra.absent)
    controls = {
        "frozen_frames": both_directions(still, captions, test.owner, test.absent).metrics,
        "shuffled_frames": both_directions(mixed, captions, test.owner, test.absent).metrics,
    }
    ranks = {name: found.ranks for name, found in scored.items() if name != "test_last_epoch"}
    if test.absent:
        log_lines(f"missed: {test.corpus.samples[index].video_id}: {why}" for index, why in sorted(test.absent.items()))
    result: dict[str, Any] = {
        "metrics": {name: found.metrics for name, found in scored.items()},
        "controls": controls,
        "ranks": ranks,
    }
    encoded = EncodedGallery(
        config, videos.numpy(), captions.numpy(), test.owner, test.corpus.samples, frozenset(test.absent)
    )
    if numbers := evaluated(encoded):
        result["evaluators"] = numbers
    if test.absent:
        result["missed"] = [test.corpus.samples[index].video_id for index in sorted(test.absent)]
    return result if len(set(test.owner)) == len(test.owner) else result | {"owners": list(test.owner)}


def _optional(
    similarity: Floats,
    temperature: float,
    test: GalleryLoader,
    experiment: Experiment,
    tokenizer: Tokenizer,
    device: torch.device,
) -> dict[str, Retrieval]:
    """The columns that are not plain retrieval, each by its name."""
    config, found = experiment.config, {}
    if config.evaluate.dual_softmax:
        by_caption, by_video = (dual_softmax(similarity, temperature, axis) for axis in (0, 1))
        found["test_dual_softmax"] = ranked(by_caption, by_video, test.owner, test.absent)
    if config.evaluate.rerank:
        judge, k = pretrained_model(experiment, tokenizer).to(device), config.evaluate.rerank
        chances = matching(judge, test, candidates(similarity, k), config, device)
        by_caption, by_video = (reranked(similarity, chances, k, axis) for axis in (1, 0))
        found[f"test_reranked_{k}"] = ranked(by_caption, by_video, test.owner, test.absent)
    return found
