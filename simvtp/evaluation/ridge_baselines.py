"""Retrieval baselines: ridge regressions from simple features of a clip to the words of its caption.

The features are block means (a small blurred copy of every frame) and hand-made ones (colours, spread, shifts between
frames). A caption's score for a video is the cosine between its bag of words and the one predicted from the video.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from simvtp.config.schema import Config
from simvtp.data.corpora.registry import Corpus, load
from simvtp.data.from_config import decoding_of, frame_sampling, retrieval_corpus
from simvtp.data.gallery_loader import GalleryLoader
from simvtp.data.tokenizer import Tokenizer
from simvtp.distributed.process_group import decide
from simvtp.errors import DataError
from simvtp.evaluation.metrics import ranked
from simvtp.runtime.cache_dir import cache_folder
from simvtp.runtime.files import read_json, write_json
from simvtp.runtime.heartbeat import beat

log = logging.getLogger(__name__)

# Raised when the same videos give other figures.
VERSION = 2
BLOCKS = 6  # block means: a frame has so many by so many
FIT = 4096  # videos that a ridge is fitted to, at most
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)  # times the mean squared feature; the best on held-out fitting videos
WORDS = 4096  # words that a ridge predicts, at most
MINIMUM = 20  # videos that a ridge is fitted to, at least
BATCH = 32
FURTHEST = 4  # pixels of a thumbnail, largest shift between two frames that is looked for


def ridge(features: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """The linear map [D, K] from features [N, D] to targets [N, K] with the least squared error plus penalty."""
    return solved(features.T @ features, features.T @ targets, penalty)


def solved(gram: Tensor, cross: Tensor, penalty: float) -> Tensor:
    """The map of `ridge` from its sums over rows: features by features [D, D] and features by targets [D, K]; penalty
    is in units of the mean squared feature times N / D."""
    gram = gram.clone()
    gram.diagonal().add_(penalty * gram.diagonal().mean() / len(gram) + 1e-6)
    return torch.linalg.solve(gram, cross)


def retrieval_yardsticks(config: Config, seen: Sequence[GalleryLoader], gallery: GalleryLoader) -> dict[str, float]:
    """Text-to-video R@1 in percent of what does not learn a representation, on a gallery.

    config: its model says how a clip is cut out. seen: videos and captions that a run is trained on
    (`training_loaders`), gallery: those of the test (`one_clip_each`).
    chance; ceiling: of a search that understands every caption, where equal captions of different videos cannot be
    distinguished; block_means, features, histogram: ridge regressions (`DESCRIBED`) fitted to `seen`, left out where
    fewer than MINIMUM of these videos can be read. Kept in the cache folder. Of several processes the first one
    measures.
    """
    key: list[Any] = [VERSION, BLOCKS, FIT, WORDS, str(gallery.sampling), config.model.size, config.model.words]
    for loader in (*seen, gallery):
        corpus = loader.corpus  # its name has a digest of its files
        key += [corpus.name, corpus.split, corpus.fingerprint, str(corpus.samples[0].path), loader.captions()[:100]]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    path = cache_folder() / "yardsticks" / f"{name}.json"
    return decide(lambda: _kept(path, seen, gallery))


def _kept(path: Path, seen: Sequence[GalleryLoader], gallery: GalleryLoader) -> dict[str, float]:
    """What the file holds; where it is not there or damaged, measured and written first."""
    try:
        found: dict[str, float] = read_json(path)
    except (OSError, ValueError):
        found = _measured(seen, gallery)
        write_json(path, found)
    return found


def one_clip_each(config: Config, tokenizer: Tokenizer, split: str) -> GalleryLoader:
    """The videos of an evaluation split, one clip of each."""
    return _loader(config, tokenizer, retrieval_corpus(config, split), config.data.missing)


def training_loaders(config: Config, tokenizer: Tokenizer) -> list[GalleryLoader]:
    """The first FIT videos of each stage of a run, one clip of each; fine-tuning's come last.

    Those that cannot be read end up in a loader's `absent`. Pre-training's are left out, with a warning, where their
    corpus is no more there: nothing else of an evaluation needs it.
    """
    found = [retrieval_corpus(config, "train")]
    if config.is_pretrained:
        try:
            found.insert(0, load(config.data.pretrain, "pretrain", skip=config.data.skip))
        except DataError as error:
            log.warning("yardsticks: ridge regressions are fitted to the fine-tuning videos alone: %s", error)
    first = [dataclasses.replace(corpus, samples=corpus.samples[:FIT], whole=corpus) for corpus in found]
    return [_loader(config, tokenizer, corpus, "miss") for corpus in first]


def _loader(config: Config, tokenizer: Tokenizer, corpus: Corpus, missing: str) -> GalleryLoader:
    model, machine = config.model, config.machine
    return GalleryLoader(
        corpus, tokenizer, sampling=frame_sampling(config, "finetune"), size=model.size, segments=1, crops=1,
        batch=BATCH, words=model.words, workers=machine.workers, cache=machine.frame_cache, missing=missing,
        decoding=decoding_of(config),
    )  # fmt: skip


def _measured(seen: Sequence[GalleryLoader], gallery: GalleryLoader) -> dict[str, float]:
    tested, parts = _described(gallery), [_described(loader) for loader in seen]  # `absent` is complete now
    count, absent = len(gallery.corpus.samples), gallery.absent
    owners: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for query, video in zip(gallery.captions(), gallery.owner, strict=True):
        owners[tuple(query)].add(video)
    alike = [0.0 if video in absent else 1 / len(owners[tuple(query)])
             for query, video in zip(gallery.captions(), gallery.owner, strict=True)]  # fmt: skip
    found = {"chance": 100.0 / count, "ceiling": 100.0 * float(np.mean(alike))}
    there = [torch.tensor([row not in loader.absent for row in range(len(loader.corpus.samples))]) for loader in seen]
    if sum(int(rows.sum()) for rows in there) < MINIMUM:
        return found
    known = _known_words(seen)
    targets = torch.cat([_words(loader, known)[rows] for loader, rows in zip(seen, there, strict=True)])
    mean, scale = targets.mean(dim=0), targets.mean(dim=0).add(1e-3).rsqrt()  # a rare word has more weight
    texts = gallery.captions()
    queries = functional.normalize((_bags(texts, range(len(texts)), len(texts), known) - mean) * scale, dim=1)
    for feature in DESCRIBED:
        given = torch.cat([part[feature][rows] for part, rows in zip(parts, there, strict=True)])
        predicted = functional.normalize(_predicted(given, (targets - mean) * scale, tested[feature]), dim=1)
        scores = (queries @ predicted.T).double().numpy()
        found[feature] = ranked(scores, scores, gallery.owner, absent).metrics["text_to_video"]["R@1"]
    return found


def _predicted(given: Tensor, targets: Tensor, tested: Tensor) -> Tensor:
    """Ridge regression from features to targets, applied to other features; the penalty by a tenth of the rows.

    given: [N, F]. targets: [N, W]. tested: [M, F] -> [M, W].
    """
    mean, deviation = given.mean(dim=0), given.std(dim=0, correction=0).add(1e-6)
    given, tested = (functional.pad((part - mean) / deviation, (0, 1), value=1.0) for part in (given, tested))
    held = torch.arange(len(given)) % 10 == 0
    gram, cross = given[~held].T @ given[~held], given[~held].T @ targets[~held]
    errors = [
        float((given[held] @ solved(gram, cross, penalty) - targets[held]).square().mean()) for penalty in PENALTIES
    ]
    return tested @ ridge(given, targets, PENALTIES[int(np.argmin(errors))])


def _known_words(seen: Sequence[GalleryLoader]) -> dict[int, int]:
    """Token id -> column, of the WORDS commonest ones in captions of the videos that a ridge is fitted to."""
    counts = Counter(word for loader in seen for ids in loader.captions() for word in ids[1:-1])
    return {word: column for column, (word, _) in enumerate(counts.most_common(WORDS))}


def _words(loader: GalleryLoader, known: dict[int, int]) -> Tensor:
    """The mean bag of words of each video's captions, [N, known]."""
    captions = torch.bincount(torch.tensor(loader.owner), minlength=len(loader.corpus.samples))
    return _bags(loader.captions(), loader.owner, len(captions), known) / captions.clamp(min=1).unsqueeze(1)


def _bags(captions: Sequence[Sequence[int]], rows: Sequence[int], count: int, known: dict[int, int]) -> Tensor:
    """How often each known word is in the captions of each row, [count, known]; rows: of which each caption is."""
    bags = torch.zeros(count, len(known))
    places = [
        (row, known[word]) for row, ids in zip(rows, captions, strict=True) for word in ids[1:-1] if word in known
    ]
    if places:
        bags.index_put_(tuple(torch.tensor(places).T), torch.ones(len(places)), accumulate=True)
    return bags


def _described(loader: GalleryLoader) -> dict[str, Tensor]:
    """Every kind of feature of every video, each [N, D]."""
    parts: dict[str, list[Tensor]] = {name: [] for name in DESCRIBED}
    for clips in loader.videos():
        pixels = clips[:, 0].permute(0, 1, 4, 2, 3).float() / 255
        for name, describe in DESCRIBED.items():
            parts[name].append(describe(pixels))
        beat()
    return {name: torch.cat(part) for name, part in parts.items()}


def block_means(pixels: Tensor) -> Tensor:
    """[B, T, 3, H, W] -> [B, T * 3 * BLOCKS * BLOCKS]: every frame, shrunk."""
    return functional.adaptive_avg_pool2d(pixels.flatten(0, 1), BLOCKS).unflatten(0, pixels.shape[:2]).flatten(1)


def hand_made(pixels: Tensor) -> Tensor:
    """[B, T, 3, H, W] -> [B, D]: means and deviations of the channels of every frame, its change to the next frame and
    the shift onto it that fits best."""
    colours = torch.cat((pixels.mean(dim=(3, 4)), pixels.std(dim=(3, 4))), dim=2).flatten(1)
    grey = pixels.mean(dim=2)
    return torch.cat((colours, grey.diff(dim=1).square().mean(dim=(2, 3)), shifts(grey)), dim=1)


def with_histogram(pixels: Tensor) -> Tensor:
    """[B, T, 3, H, W] -> [B, D]: hand-made features, edges of every frame, and a histogram of the clip's colours in
    4 x 4 x 4 bins, which is as good as a list of the colours that a clip shows."""
    levels = (pixels * 3.999).long()
    codes = (levels[:, :, 0] * 16 + levels[:, :, 1] * 4 + levels[:, :, 2]).flatten(1)
    histogram = torch.zeros(len(pixels), 64).scatter_add_(1, codes, torch.ones(codes.shape)) / codes.shape[1]
    grey = pixels.mean(dim=2)
    edges = torch.stack([grey.diff(dim=axis).abs().mean(dim=(2, 3)) for axis in (2, 3)], dim=2).flatten(1)
    return torch.cat((hand_made(pixels), histogram.sqrt(), edges), dim=1)


def shifts(grey: Tensor) -> Tensor:
    """[B, T, H, W] -> [B, 2 * (T - 1) + 9]: the best shift of each frame onto the next one, along x and y, in pixels of
    a 24 x 24 thumbnail; and how often it points in each of the nine directions."""
    small = functional.adaptive_avg_pool2d(grey, 24)
    small = torch.fft.rfft2(small - small.mean(dim=(2, 3), keepdim=True))
    match = torch.fft.irfft2(small[:, :-1].conj() * small[:, 1:])
    match = match.roll((FURTHEST, FURTHEST), (2, 3))[:, :, : 2 * FURTHEST + 1, : 2 * FURTHEST + 1]
    best = match.flatten(2).argmax(dim=2)
    down, right = best // (2 * FURTHEST + 1) - FURTHEST, best % (2 * FURTHEST + 1) - FURTHEST
    ways = functional.one_hot((down.sign() + 1) * 3 + right.sign() + 1, 9).float().mean(dim=1)
    return torch.cat((right.float(), down.float(), ways), dim=1)


Describe = Callable[[Tensor], Tensor]
DESCRIBED: dict[str, Describe] = {"block_means": block_means, "features": hand_made, "histogram": with_histogram}
