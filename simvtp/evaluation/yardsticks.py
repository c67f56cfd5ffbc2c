"""Yardsticks of a run: each objective on held-out clips, beside baselines that need no learning.

For masked video (MVM): a mean for each position that sees nothing, the nearest visible tube copied, a linear map from
the left neighbour, and, where the corpus knows its scenes, an oracle that knows the picture without noise. For masked
words (MLM): the frequencies of the words, and the model with another clip's video. For matching (VTM) and contrast
(VTC): guessing. For retrieval: `simvtp.evaluation.ridge_baselines`. The rules by which an objective counts as learned
are `LEARNED`; a table claims nothing about an objective that is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from simvtp.config.experiment import Experiment
from simvtp.config.schema import Config
from simvtp.data.corpora.registry import scenes_of
from simvtp.data.gallery_loader import GalleryLoader
from simvtp.data.tokenizer import Tokenizer, pad_batch
from simvtp.distributed.process_group import decide
from simvtp.evaluation.encode import inference
from simvtp.evaluation.objective_yardsticks import Found, HeldOut, measure
from simvtp.evaluation.ridge_baselines import one_clip_each, retrieval_yardsticks, training_loaders
from simvtp.evaluation.video_baselines import FittedVideo
from simvtp.models.embeddings import cut_tubes
from simvtp.models.masking import MaskedBatch, draw_text_mask, draw_video_mask, drop_masked
from simvtp.models.objectives import pixel_targets
from simvtp.models.simvtp import SimVTPModel
from simvtp.runtime.heartbeat import beat
from simvtp.runtime.seeding import generator
from simvtp.training.load import pretrained_model

CLIPS = 256  # held-out clips that the objectives are measured on, at most
FIT = 256  # training clips that the baselines of MVM are fitted to, at most
BATCH = 64

# Objective -> whether its figures say that it is learned.
# mvm: a tenth of the way from the floor to the oracle (to zero error if there is none); mlm: another clip's video
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

    experiment: whose pre-trained weights are measured. tokenizer: of its captions. device: where the model computes.
    split: of the fine-tuning corpus, whose first CLIPS videos are shown, masked as in training.
    Each objective has `loss`, `floor` (what sees nothing) and `learned`; see the module for the others. Losses in nats,
    MVM's as mean squared error of normalised pixels, accuracy in [0, 1]. An objective that masks nothing is left out,
    and so are all where fewer than two videos can be read. Of several processes the first one measures.
    """
    config = experiment.config
    held_out = one_clip_each(config, tokenizer, split)
    training = training_loaders(config, tokenizer)
    found: dict[str, Any] = {"split": split, "retrieval": retrieval_yardsticks(config, training, held_out)}
    if not config.is_pretrained:
        return found
    model = pretrained_model(experiment, tokenizer)
    return found | decide(lambda: _objectives(model.to(device), held_out, training[-1], config, device))


def _objectives(
    model: SimVTPModel, held_out: GalleryLoader, training: GalleryLoader, config: Config, device: torch.device
) -> dict[str, Any]:
    """Every objective that is on and can be measured, with `learned`."""
    batches = list(held_out_batches(held_out, config, device))
    if not batches:
        return {}
    fitted = None
    if model.pixel_decoder is not None:
        tubes = (pixel_targets(cut_tubes(clips.to(device), config.model)) for _, clips in _clips(training, FIT))
        fitted = FittedVideo.of(tubes, config.model)
    scenes = scenes_of(config.data.finetune, held_out.corpus.split)
    with inference(model, config, device):
        found = measure(model, batches, fitted, training.captions(), scenes, config)
    return {name: figures | {"learned": LEARNED[name](figures)} for name, figures in found.items()}


def held_out_batches(loader: GalleryLoader, config: Config, device: torch.device) -> Iterator[HeldOut]:
    """The first captions' videos, BATCH at a time, masked as in training but by draws that the seed has no part in."""
    captions, samples, tokenizer = loader.captions(), loader.corpus.samples, loader.tokenizer
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
        yield HeldOut(masked, [samples[video].video_id for video in chosen])


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
        beat()
