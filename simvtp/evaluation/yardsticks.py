"""Yardsticks of a run: what each objective reaches on held-out clips, beside what reaches it without learning.

For masked video (MVM): a mean for each position that sees nothing, the nearest visible tube copied, a linear map from
the left neighbour, and, where the corpus knows its scenes, an oracle that knows the picture without noise. For masked
words (MLM): the frequencies of the words, and the model with another clip's video. For matching (VTM) and contrast
(VTC): guessing. For retrieval: `simvtp.evaluation.ridge_baselines`. The rules by which an objective counts as learned
are `LEARNED`; a table claims nothing about an objective that is not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from simvtp.config.experiment import Experiment
from simvtp.config.schema import Config
from simvtp.data.corpora.registry import scenes_of
from simvtp.data.from_config import retrieval_corpus
from simvtp.data.gallery_loader import GalleryLoader
from simvtp.data.tokenizer import Tokenizer, pad_batch
from simvtp.evaluation.encode import gallery, inference
from simvtp.evaluation.ridge_baselines import retrieval_yardsticks, ridge
from simvtp.models.embeddings import gather, tubes_of
from simvtp.models.masking import MaskedBatch, VideoMask, draw_text_mask, draw_video_mask, drop_masked
from simvtp.models.objectives import contrastive_loss, pair, pixel_targets
from simvtp.models.simvtp import SimVTPModel
from simvtp.models.transformer import Group
from simvtp.runtime.seeding import generator
from simvtp.training.load import pretrained_model

CLIPS = 400  # held-out clips that the objectives are measured on, at most
FIT = 256  # training clips that the baselines of MVM are fitted to, at most
BATCH = 64

Found = dict[str, float]

# Objective -> whether its figures say that it is learned.
# mvm: a tenth of the way from the floor to the oracle (to zero error where there is none); mlm: another clip's video
# costs 0.1 nats, and the words' frequencies do worse; vtm: above guessing by 10 points and by 3 standard errors;
# vtc: a tenth of the way from guessing to zero loss.
LEARNED: Mapping[str, Callable[[Found], bool]] = {
    "mvm": lambda found: found["progress"] >= 0.1,
    "mlm": lambda found: found["wrong_video"] - found["loss"] >= 0.1 and found["loss"] < found["floor"],
    "vtm": lambda found: found["accuracy"] >= max(0.6, 0.5 + 3 * 0.5 / math.sqrt(2 * found["clips"])),
    "vtc": lambda found: found["loss"] <= 0.9 * found["floor"],
}


def yardsticks(
    experiment: Experiment, tokenizer: Tokenizer, device: torch.device, split: str = "test"
) -> dict[str, Any]:
    """The yardsticks of a run whose pre-training is done, for result.json: retrieval, and each objective that is on.

    Figures are of the first CLIPS videos of `split`, masked as in training. Each objective has `loss`, `floor` (what
    sees nothing) and `learned`; see the module for the others. Losses in nats, MVM's as mean squared error of
    normalised pixels, accuracy in [0, 1].
    """
    config = experiment.config
    found: dict[str, Any] = {"split": split, "retrieval": retrieval_yardsticks(config, tokenizer, split)}
    if not config.is_pretrained:
        return found
    model = pretrained_model(experiment, tokenizer).to(device)
    loader = gallery(config, tokenizer, split, views=False)
    batches = list(_batches(loader, config, tokenizer, device))
    with inference(model, config, device):
        if model.pixel_decoder is not None:
            found["mvm"] = _masked_video(model, batches, _FittedVideo(config, tokenizer, device), config, split)
        if config.objective.mlm:
            found["mlm"] = _masked_words(model, batches, config, tokenizer)
        if model.matching_head is not None:
            found["vtm"] = _matching(model, batches, config)
        if config.objective.vtc:
            found["vtc"] = _contrast(model, batches, config)
    for name in LEARNED.keys() & found.keys():
        found[name]["learned"] = LEARNED[name](found[name])
    return found


@dataclass(frozen=True)
class _Batch:
    """Held-out clips with the masks of training, as the objectives take them; `ids`: video ids [B]."""

    masked: MaskedBatch
    ids: list[str]

    def with_videos_of_others(self) -> MaskedBatch:
        """Every text with the next clip's video."""
        return dataclasses.replace(self.masked, video=self.masked.video.roll(1, 0))


def _batches(loader: GalleryLoader, config: Config, tokenizer: Tokenizer, device: torch.device) -> Iterator[_Batch]:
    """The first captions' videos, BATCH at a time, masked as in training but by draws that the seed has no part in."""
    captions, samples = loader.captions(), loader.corpus.samples
    first_caption = {video: query for query, video in reversed(list(enumerate(loader.owner)))}
    special = (tokenizer.pad, tokenizer.cls, tokenizer.sep)
    for number, (chosen, clips) in enumerate(_clips(loader, CLIPS)):
        words = pad_batch([captions[first_caption[video]] for video in chosen], tokenizer.pad)
        random = generator("yardsticks", number)
        text_mask = draw_text_mask(words, config.mask.text, tokenizer.mask, special, random)
        present = words != tokenizer.pad
        masked = MaskedBatch(
            video=clips.to(device),
            present=present.to(device),
            video_mask=draw_video_mask(len(clips), config.model, config.mask, random).to(device),
            text_mask=text_mask.to(device),
            negatives=torch.empty(0),
            dropped=drop_masked(text_mask, present).to(device) if config.mask.words == "dropped" else None,
        )
        yield _Batch(masked, [samples[video].video_id for video in chosen])


def _clips(loader: GalleryLoader, most: int) -> Iterator[tuple[list[int], Tensor]]:
    """Videos that are there, by index, and a clip of each, uint8 [N, T, H, W, 3]; N from 2 to BATCH."""
    rows, first = range(min(most, len(loader.corpus.samples))), 0
    for views in loader.videos(rows):
        there = [row for row in range(len(views)) if first + row not in loader.absent]
        for start in range(0, len(there), BATCH):
            part = there[start : start + BATCH]
            if len(part) > 1:
                yield [first + row for row in part], views[part, 0]
        first += len(views)


def _joint(model: SimVTPModel, batch: MaskedBatch, config: Config) -> tuple[Any, int]:
    """The joint pass over visible tubes and words, a Group, and how many of its tokens are tubes."""
    videos = model.tubes(tubes_of(batch.video, config.model), batch.video_mask.visible)
    (joint,) = model.encode([pair(videos, model.embed_text(batch))])
    return joint, videos.shape[1]


def _masked_video(model: SimVTPModel, batches: list[_Batch], fitted: _FittedVideo, config: Config, split: str) -> Found:
    """loss; wrong_caption: with another clip's caption; floor, copy, linear, oracle; progress: how far from the floor
    to the oracle, 1 at the oracle."""
    assert model.pixel_decoder is not None
    scenes = scenes_of(config.data.finetune, split)
    sums: dict[str, float] = {}
    for batch in batches:
        mask = batch.masked.video_mask
        tubes = tubes_of(batch.masked.video, config.model)
        targets = pixel_targets(gather(tubes, mask.masked))
        guesses = {
            "floor": fitted.mean[mask.masked],
            "copy": pixel_targets(gather(tubes, _nearest(mask, config))),
            "linear": fitted.from_left(tubes, mask.masked),
        }
        if scenes is not None:
            clean = torch.from_numpy(scenes(batch.ids)).to(tubes.device)
            guesses["oracle"] = _oracle(tubes, tubes_of(clean, config.model), mask.masked)
        for name, given in (("loss", batch.masked), ("wrong_caption", _with_captions_of_others(batch.masked))):
            joint, count = _joint(model, given, config)
            guesses[name] = model.pixel_decoder(joint.tokens[:, :count], mask.visible, mask.masked).float()
        for name, guess in guesses.items():
            error = functional.mse_loss(guess, targets, reduction="sum")
            sums[name] = sums.get(name, 0.0) + float(error) / targets[0].numel()
    found = {name: total / sum(len(batch.ids) for batch in batches) for name, total in sums.items()}
    found["progress"] = (found["floor"] - found["loss"]) / (found["floor"] - found.get("oracle", 0.0))
    return found


def _with_captions_of_others(given: MaskedBatch) -> MaskedBatch:
    """Every video with the next clip's caption, masked as that one is."""
    text, dropped = given.text_mask, given.dropped
    if dropped is not None:
        visible, present = dropped.visible.roll(1, 0), dropped.visible_present.roll(1, 0)
        dropped = dataclasses.replace(dropped, visible=visible, visible_present=present)
    return dataclasses.replace(
        given, present=given.present.roll(1, 0), text_mask=dataclasses.replace(text, words=text.words.roll(1, 0)),
        dropped=dropped,
    )  # fmt: skip


def _nearest(mask: VideoMask, config: Config) -> Tensor:
    """For each masked tube the nearest visible one, int64 [B, M]; a tube of its own slot before any other."""
    grid = torch.stack(torch.meshgrid(*(torch.arange(side) for side in config.model.grid), indexing="ij"), dim=3)
    places = grid.flatten(0, 2).float() * torch.tensor([float(sum(config.model.grid)), 1.0, 1.0])
    places = places.to(mask.visible.device)
    chosen = torch.cdist(places[mask.masked], places[mask.visible]).argmin(dim=2)
    return mask.visible.gather(1, chosen)


class _FittedVideo:
    """What is fitted to normalised tubes of training clips. mean: for each position, [tubes, P]."""

    def __init__(self, config: Config, tokenizer: Tokenizer, device: torch.device) -> None:
        self.model = config.model
        loader = gallery(config, tokenizer, "train", views=False)
        targets = torch.cat(
            [pixel_targets(tubes_of(clips.to(device), config.model)) for _, clips in _clips(loader, FIT)]
        )
        self.mean = targets.mean(dim=0)
        right = torch.tensor([tube for tube in range(config.model.tubes) if tube % config.model.grid[2]])
        self.linear = ridge(targets[:, right - 1].flatten(0, 1), targets[:, right].flatten(0, 1), 10.0)

    def from_left(self, tubes: Tensor, asked: Tensor) -> Tensor:
        """Tubes told linearly from the one to their left, whether that is visible or not; else by their mean."""
        found = pixel_targets(gather(tubes, (asked - 1).clamp(min=0))) @ self.linear
        has_left = (asked % self.model.grid[2] > 0).unsqueeze(2)
        return torch.where(has_left, found, self.mean[asked])


def _oracle(tubes: Tensor, clean: Tensor, asked: Tensor) -> Tensor:
    """The best guess from the picture without noise, [B, M, P]: its contrast divided by what it is with noise.

    The noise's variance is that between the two, so it holds what the codec adds.
    """
    noise = (tubes.float() - clean.float()).square().mean()
    pixels = gather(clean, asked).unflatten(2, (3, -1)).float()
    centred = pixels - pixels.mean(dim=3, keepdim=True)
    return (centred / (pixels.var(dim=3, keepdim=True) + noise).sqrt()).flatten(2)


def _masked_words(model: SimVTPModel, batches: list[_Batch], config: Config, tokenizer: Tokenizer) -> Found:
    """loss; wrong_video: with another clip's video; floor: by the frequencies of the training words."""
    counts = torch.ones(tokenizer.size)  # none has no chance
    captions = [caption for sample in retrieval_corpus(config, "train").samples for caption in sample.captions]
    for ids in tokenizer.encode(captions, config.model.words):
        counts.index_add_(0, torch.tensor(ids[1:-1]), torch.ones(len(ids) - 2))
    frequencies = (counts / counts.sum()).log()
    sums, words = {"loss": 0.0, "wrong_video": 0.0, "floor": 0.0}, 0
    for batch in batches:
        targets = batch.masked.text_mask.targets
        for name, given in (("loss", batch.masked), ("wrong_video", batch.with_videos_of_others())):
            joint, _ = _joint(model, given, config)
            logits = model.predict_words(joint, given).float()
            sums[name] += float(functional.cross_entropy(logits, targets, reduction="sum"))
        sums["floor"] -= float(frequencies[targets.cpu()].sum())
        words += len(targets)
    return {name: total / max(words, 1) for name, total in sums.items()}


def _matching(model: SimVTPModel, batches: list[_Batch], config: Config) -> Found:
    """loss and accuracy over as many pairs that belong together as do not; floor: the loss of guessing."""
    assert model.matching_head is not None
    loss, right, clips = 0.0, 0, 0
    for batch in batches:
        for label, given in ((1, batch.masked), (0, batch.with_videos_of_others())):
            logits = model.matching_head(_joint(model, given, config)[0].mean()).float()
            labels = torch.full((len(logits),), label, device=logits.device)
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
            right += int((logits.argmax(dim=1) == labels).sum())
        clips += len(batch.ids)
    return {"loss": loss / (2 * clips), "accuracy": right / (2 * clips), "floor": math.log(2), "clips": clips}


def _contrast(model: SimVTPModel, batches: list[_Batch], config: Config) -> Found:
    """loss, both directions summed, over batches of BATCH; floor: guessing; recall: R@1 of text to video in a batch.

    Inputs as objective.contrast says, masked or clean.
    """
    temperature = config.objective.temperature if model.temperature is None else model.temperature()
    loss, floor, right, clips = 0.0, 0.0, 0, 0
    for batch in batches:
        given, count = batch.masked, len(batch.ids)
        tubes = tubes_of(given.video, config.model)
        if config.objective.contrast == "masked":
            groups = [Group(model.tubes(tubes, given.video_mask.visible)), model.embed_text(given)]
        else:
            groups = [Group(model.tubes(tubes)), Group(model.words(given.text_mask.clean()), given.present)]
        encoded = model.encode(groups)
        features = [group.mean() for group in encoded]
        loss += float(contrastive_loss(features[0], features[1], temperature)) * count
        floor += 2 * math.log(count) * count
        cosine = functional.normalize(features[1].float()) @ functional.normalize(features[0].float()).T
        right += int((cosine.argmax(dim=1).cpu() == torch.arange(count)).sum())
        clips += count
    return {"loss": loss / clips, "floor": floor / clips, "recall": right / clips}
