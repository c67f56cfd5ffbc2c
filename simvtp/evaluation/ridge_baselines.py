"""Trivial retrieval: ridge regressions from simple features of a clip to the words of its caption.

What a learned model is worth shows beside them: block means (a small blurred copy of every frame), and hand-made
features (colours, spread, shifts between frames). A caption's score for a video is the cosine of its words with the
words that the video predicts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from simvtp.config.schema import Config
from simvtp.data.corpora.registry import load
from simvtp.data.from_config import decoding_of, retrieval_corpus
from simvtp.data.gallery_loader import GalleryLoader
from simvtp.data.tokenizer import Tokenizer
from simvtp.distributed.process_group import decide
from simvtp.evaluation.metrics import ranked
from simvtp.runtime.cache_dir import cache_folder
from simvtp.runtime.files import read_json, write_json

# Raised when the same videos give other figures.
VERSION = 1
BLOCKS = 6  # block means: a frame has so many by so many
FIT = 4096  # videos that a ridge is fitted to, at most
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)  # times the mean squared feature; the best on held-out fitting videos
BATCH = 128
FURTHEST = 4  # pixels of a thumbnail, largest shift between two frames that is looked for


def ridge(features: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """The linear map [D, K] from features [N, D] to targets [N, K] with the least squared error plus penalty, which
    is in units of the mean squared feature times N / D."""
    gram = features.T @ features
    gram.diagonal().add_(penalty * gram.diagonal().mean() / features.shape[1] + 1e-6)
    return torch.linalg.solve(gram, features.T @ targets)


def retrieval_yardsticks(config: Config, tokenizer: Tokenizer, split: str) -> dict[str, float]:
    """Text-to-video R@1 in percent of what does not learn a representation, on the gallery of `split`.

    chance; ceiling: of a search that understands every caption, where equal captions of different videos cannot be
    told apart; block_means, features: ridge regressions fitted to the videos and captions of both training stages.
    Kept in the cache folder for each corpus.
    """
    loaders = {}
    for name in dict.fromkeys(("pretrain", "train", split)):
        loaders[name] = _loader(config, tokenizer, name)
    told = [VERSION, BLOCKS, FIT, split, config.model.frames, config.model.size, config.model.words]
    told += [(loader.corpus.fingerprint, str(loader.corpus.samples[0].path)) for loader in loaders.values()]
    name = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    path = cache_folder() / "yardsticks" / f"{name}.json"
    return decide(lambda: _kept(path, loaders, split, tokenizer))


def _kept(path: Path, loaders: dict[str, GalleryLoader], split: str, tokenizer: Tokenizer) -> dict[str, float]:
    """What the file holds; where it is not there or damaged, measured and written first."""
    try:
        found: dict[str, float] = read_json(path)
    except (OSError, ValueError):
        found = _measured(loaders, split, tokenizer)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, found)
    return found


def _loader(config: Config, tokenizer: Tokenizer, split: str) -> GalleryLoader:
    """One clip of each video; at most FIT of those that baselines are fitted to."""
    if split == "pretrain":
        corpus = load(config.data.pretrain, split, skip=config.data.skip)
    else:
        corpus = retrieval_corpus(config, split)
    if split in ("pretrain", "train"):
        corpus = dataclasses.replace(corpus, samples=corpus.samples[:FIT], whole=corpus)
    model, machine = config.model, config.machine
    return GalleryLoader(
        corpus, tokenizer, frames=model.frames, size=model.size, segments=1, crops=1, batch=BATCH, words=model.words,
        workers=machine.workers, cache=machine.frame_cache, missing=config.data.missing, decoding=decoding_of(config),
    )  # fmt: skip


def _measured(loaders: dict[str, GalleryLoader], split: str, tokenizer: Tokenizer) -> dict[str, float]:
    videos = {name: _described(loader) for name, loader in loaders.items()}
    words = {name: _words(loader, tokenizer) for name, loader in loaders.items()}
    test, seen = loaders[split], [name for name in loaders if name != split]
    count = len(test.corpus.samples)
    texts = [" ".join(map(str, query)) for query in test.captions()]
    alike = np.array([texts.count(text) for text in texts])
    found = {"chance": 100.0 / count, "ceiling": 100.0 * float((1 / alike).mean())}
    queries = _bags(test.captions(), tokenizer)
    told = torch.cat([words[name] for name in seen])
    scale = told.mean(dim=0).add(1e-3).rsqrt()  # a rare word tells more
    for feature in DESCRIBED:
        given = torch.cat([videos[name][feature] for name in seen])
        predicted = _predicted(given, (told - told.mean(dim=0)) * scale, videos[split][feature])
        asked = (queries - told.mean(dim=0)) * scale
        similarity = functional.normalize(asked, dim=1) @ functional.normalize(predicted, dim=1).T
        scores = similarity.double().numpy()
        found[feature] = ranked(scores, scores, test.owner, test.absent).metrics["text_to_video"]["R@1"]
    return found


def _predicted(given: Tensor, told: Tensor, asked: Tensor) -> Tensor:
    """Targets of the features `asked` by ridge regression on the rest; the penalty by a tenth of the fitting rows."""
    mean, deviation = given.mean(dim=0), given.std(dim=0).add(1e-6)
    given, asked = (functional.pad((part - mean) / deviation, (0, 1), value=1.0) for part in (given, asked))
    held = torch.arange(len(given)) % 10 == 0
    errors = [
        float((given[held] @ ridge(given[~held], told[~held], penalty) - told[held]).square().mean())
        for penalty in PENALTIES
    ]
    return asked @ ridge(given, told, PENALTIES[int(np.argmin(errors))])


def _words(loader: GalleryLoader, tokenizer: Tokenizer) -> Tensor:
    """The mean bag of words of each video's captions, [N, words]."""
    bags, owner = _bags(loader.captions(), tokenizer), torch.tensor(loader.owner)
    sums = torch.zeros(len(loader.corpus.samples), tokenizer.size).index_add_(0, owner, bags)
    return sums / torch.bincount(owner, minlength=len(sums)).clamp(min=1).unsqueeze(1)


def _bags(captions: Sequence[Sequence[int]], tokenizer: Tokenizer) -> Tensor:
    """How often each word is in each caption, [N, words]."""
    bags = torch.zeros(len(captions), tokenizer.size)
    for bag, ids in zip(bags, captions, strict=True):
        bag.index_add_(0, torch.tensor(ids[1:-1]), torch.ones(len(ids) - 2))
    return bags


def _described(loader: GalleryLoader) -> dict[str, Tensor]:
    """Every kind of feature of every video, each [N, D]."""
    parts: dict[str, list[Tensor]] = {name: [] for name in DESCRIBED}
    for clips in loader.videos():
        pixels = clips[:, 0].permute(0, 1, 4, 2, 3).float() / 255
        for name, describe in DESCRIBED.items():
            parts[name].append(describe(pixels))
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
