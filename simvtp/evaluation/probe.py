"""Probes: how well a classifier on frozen video features predicts the classes of clips.

linear: multinomial logistic regression on the vector that retrieval uses, standardised; its L2 penalty is chosen on the
validation split (the protocol of CLIP, Radford et al. 2021, section 3.2). attentive: one learned query attends to the
tokens of the encoder, and a linear layer reads what it gathers (V-JEPA, Bardes et al. 2024, section 5.1); its epoch is
chosen on the validation split. The encoder is never trained.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from scipy.stats import binomtest
from torch import Tensor, nn
from torch.nn import functional

from simvtp.config.file_digests import split as split_digest
from simvtp.config.schema import Config
from simvtp.data.corpora.corpus import Corpus
from simvtp.data.corpora.registry import load
from simvtp.data.corpora.spec import CorpusSpec
from simvtp.data.from_config import decoding_of, frame_sampling
from simvtp.data.gallery_loader import GalleryLoader
from simvtp.data.sprites.scenes import parse_spec, plan
from simvtp.data.tokenizer import Tokenizer
from simvtp.errors import DataError
from simvtp.evaluation.encode import BATCH, Look, as_filmed, encode_videos, inference
from simvtp.models.dual_encoder import DualEncoder
from simvtp.models.embeddings import cut_tubes
from simvtp.models.transformer import Group
from simvtp.runtime.seeding import derived_seed, generator, seeded

log = logging.getLogger(__name__)

Head = Literal["linear", "attentive"]
PARTS = ("train", "val", "test")
PENALTIES = tuple(10.0**power for power in range(-5, 1))  # of the mean loss, on half the squared weights
EPOCHS, ROWS, RATE, DECAY = 40, 64, 1e-3, 0.05  # of the attentive probe


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of one label on the test split, in percent.

    value: of the probe; low, high: its 95% interval over test clips (Wilson); chance: of the class that is most
    frequent in training; clips: how many were tested; classes: how many training shows.
    """

    value: float
    low: float
    high: float
    chance: float
    clips: int
    classes: int


@dataclass(frozen=True)
class Clips:
    """Clips of a split. features: float [N, D], or [N, tokens, D]; labels: name -> class of each clip."""

    features: Tensor
    labels: dict[str, list[str]] = field(repr=False)


def labels_of(corpus: Corpus) -> dict[str, list[str]]:
    """Name of a label -> class of each sample: of the embedded corpus what its clips show, else ?label=COLUMN.

    Raises DataError if the corpus has no labels, or a sample has none.
    """
    spec = CorpusSpec.parse(split_digest(corpus.name)[0])
    if spec.kind == "sprites":
        keys = {clip.video_id: clip.key for part in PARTS for clip in plan(parse_spec(spec.place))[part]}
        drawn = [keys[sample.video_id] for sample in corpus.samples]
        return {
            "shape": [key.shape for key in drawn],
            "colour": [key.first for key in drawn],
            "ground": [key.second for key in drawn],
            "motion": [key.motion for key in drawn],
        }
    without = [sample.video_id for sample in corpus.samples if not sample.label]
    if without:
        raise DataError(
            f"{corpus.name}, split {corpus.split}: {len(without)} of {len(corpus.samples)} videos have no label, such "
            f"as {without[0]!r}; a list names its column of classes by ?label=COLUMN (csv:, json: and parquet:)"
        )
    return {"label": [sample.label for sample in corpus.samples]}


def probe(
    model: DualEncoder, config: Config, tokenizer: Tokenizer, data: str, head: Head, device: torch.device
) -> dict[str, Accuracy]:
    """Accuracy of each label of the corpus `data`, which has the splits train, val and test.

    model: the frozen encoders; config, tokenizer: of the run that trained them. Videos that cannot be decoded are left
    out, and counted in the log. Raises DataError if the corpus cannot be read or has no labels.
    """
    train, val, test = (_clips(model, config, tokenizer, data, part, head, device) for part in PARTS)
    accuracies = {}
    for name, classes_of in train.labels.items():
        classes = sorted(set(classes_of))
        target = [_numbers(part.labels[name], classes) for part in (train, val, test)]
        features = train.features, val.features, test.features
        if head == "linear":
            predicted = _linear(features, target[0], target[1], len(classes))
        else:
            predicted = _attentive(features, target[0], target[1], len(classes), derived_seed(config.seed, name))
        accuracies[name] = _accuracy(predicted, target[0], target[2], len(classes))
    return accuracies


def _clips(
    model: DualEncoder, config: Config, tokenizer: Tokenizer, data: str, part: str, head: Head, device: torch.device
) -> Clips:
    corpus = load(data, part, missing="miss")
    views = config.evaluate if part == "test" and head == "linear" else None
    loader = GalleryLoader(
        corpus, tokenizer, sampling=frame_sampling(config, "finetune"), size=config.model.size,
        segments=views.segments if views else 1, crops=views.crops if views else 1, batch=BATCH,
        words=config.model.words, workers=config.machine.workers, cache=config.machine.frame_cache, missing="miss",
        decoding=decoding_of(config),
    )  # fmt: skip
    if head == "linear":
        (features,) = encode_videos([Look(model, as_filmed)], loader, config, device)
    else:
        features = torch.cat(list(_tokens(model, loader, config, device)))
    kept = [index for index in range(len(corpus.samples)) if index not in loader.absent]
    if loader.absent:
        log.warning("%s, split %s: %d of %d videos cannot be read and are left out", data, part, len(loader.absent),
                    len(corpus.samples))  # fmt: skip
    return Clips(features[kept], {name: [classes[i] for i in kept] for name, classes in labels_of(corpus).items()})


def _tokens(model: DualEncoder, loader: GalleryLoader, config: Config, device: torch.device) -> Iterator[Tensor]:
    """float16 [B, tokens, D] on the CPU, of one view a clip; half precision, since tokens of many clips are kept."""
    with inference(model, config, device):
        for clips in loader.videos():
            (encoded,) = model.video_encoder([Group(model.tubes(cut_tubes(clips[:, 0].to(device), model.shape)))])
            yield model.video_norm(encoded.tokens).half().cpu()


def _numbers(labels: Sequence[str], classes: Sequence[str]) -> Tensor:
    """int64 [N]: the place of each label among the classes; -1 for one that training does not show."""
    index = {name: number for number, name in enumerate(classes)}
    return torch.tensor([index.get(label, -1) for label in labels])


def _linear(features: tuple[Tensor, Tensor, Tensor], train: Tensor, val: Tensor, classes: int) -> Tensor:
    """int64 [N]: predictions of the test clips. features: [N, D] of the three splits; train, val: their classes."""
    mean, spread = features[0].mean(dim=0), features[0].std(dim=0).clamp(min=1e-6)
    known, chosen, tested = ((part - mean) / spread for part in features)
    best, predicted = -1.0, torch.zeros(0)
    for penalty in reversed(PENALTIES):  # of equal ones the strongest
        weights = _logistic(known, train, classes, penalty)
        score = float(((_with_one(chosen) @ weights).argmax(dim=1) == val).float().mean())
        if score > best:
            best, predicted = score, (_with_one(tested) @ weights).argmax(dim=1)
    return predicted


def _logistic(features: Tensor, target: Tensor, classes: int, penalty: float) -> Tensor:
    """float [D + 1, classes]: weights, the last row the bias, which no penalty holds back."""
    inputs = _with_one(features).double()
    weights = torch.zeros(inputs.shape[1], classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = functional.cross_entropy(inputs @ weights, target) + penalty / 2 * weights[:-1].square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach().float()


def _with_one(features: Tensor) -> Tensor:
    return torch.cat((features, features.new_ones(len(features), 1)), dim=1)


class AttentiveHead(nn.Module):
    """A learned query that attends to tokens, and a linear layer on what it gathers.

    width: of the tokens; heads: of the attention; classes: outputs.
    """

    def __init__(self, width: int, heads: int, classes: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """float [B, N, D] -> logits [B, classes]."""
        gathered, _ = self.attention(self.query.expand(len(tokens), -1, -1), tokens, tokens, need_weights=False)
        logits: Tensor = self.head(self.norm(gathered[:, 0]))
        return logits


def _attentive(features: tuple[Tensor, Tensor, Tensor], train: Tensor, val: Tensor, classes: int, seed: int) -> Tensor:
    """int64 [N]: predictions of the test clips. features: [N, tokens, D] of the three splits."""
    width = features[0].shape[2]
    with seeded(seed, "attentive probe"):
        head = AttentiveHead(width, max(1, width // 64), classes)
    steps = EPOCHS * -(-len(train) // ROWS)
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, chosen = -1.0, copy.deepcopy(head)
    for epoch in range(EPOCHS):
        order = torch.randperm(len(train), generator=generator(seed, "attentive probe", epoch))
        for rows in order.split(ROWS):
            optimizer.zero_grad()
            functional.cross_entropy(head(features[0][rows].float()), train[rows]).backward()
            optimizer.step()
            schedule.step()
        score = float((_predicted(head, features[1]) == val).float().mean())
        if score > best:
            best, chosen = score, copy.deepcopy(head)
    return _predicted(chosen, features[2])


@torch.no_grad()
def _predicted(head: AttentiveHead, features: Tensor) -> Tensor:
    return torch.cat([head(part.float()).argmax(dim=1) for part in features.split(ROWS)])


def _accuracy(predicted: Tensor, train: Tensor, test: Tensor, classes: int) -> Accuracy:
    right, commonest = int((predicted == test).sum()), int(train.mode().values)
    interval = binomtest(right, len(test)).proportion_ci(method="wilson")
    chance = float((test == commonest).float().mean())
    return Accuracy(100 * right / len(test), 100 * interval.low, 100 * interval.high, 100 * chance, len(test), classes)
