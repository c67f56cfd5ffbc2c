"""A gallery -> features: each video decoded and encoded once, each caption encoded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from simvtp.config.schema import Config
from simvtp.data.from_config import decoding_of, frame_sampling, retrieval_corpus
from simvtp.data.gallery_loader import GalleryLoader
from simvtp.data.tokenizer import Tokenizer, pad_batch
from simvtp.distributed.process_group import filled, lists, share
from simvtp.models.dual_encoder import DualEncoder
from simvtp.runtime.heartbeat import beat
from simvtp.runtime.seeding import generator

BATCH = 128
PADDED_BATCH = 12  # of the release's test: one and a half times the 8 rows of a GPU

FrameOrder = Callable[[Tensor, int], Tensor]


def gallery(config: Config, tokenizer: Tokenizer, split: str, *, views: bool) -> GalleryLoader:
    """The loader of an evaluation split; `views`: with the config's segments and crops, else one clip a video."""
    model = config.model
    return GalleryLoader(
        retrieval_corpus(config, split), tokenizer, sampling=frame_sampling(config, "finetune"), size=model.size,
        segments=config.evaluate.segments if views else 1, crops=config.evaluate.crops if views else 1,
        batch=BATCH, words=model.words, workers=config.machine.workers, cache=config.machine.frame_cache,
        missing=config.data.missing, decoding=decoding_of(config),
    )  # fmt: skip


@dataclass(frozen=True)
class Look:
    """One way to see the videos of a gallery: a model, and what becomes of a clip's frames first.

    order(clips, first): uint8 [B, V, T, H, W, 3] of videos `first`, `first` + 1, ... -> the same shape.
    """

    model: DualEncoder
    order: FrameOrder


def as_filmed(clips: Tensor, first: int) -> Tensor:  # noqa: ARG001
    return clips


def encode_gallery(
    model: DualEncoder, loader: GalleryLoader, config: Config, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Unit features of videos [N, D] and captions [Q, D], on the CPU. The model's mode is left as it was."""
    (videos,) = encode_videos([Look(model, as_filmed)], loader, config, device)
    return videos, encode_captions(model, loader, config, device)


def encode_videos(looks: Sequence[Look], loader: GalleryLoader, config: Config, device: torch.device) -> list[Tensor]:
    """[N, D] for each look: features averaged over the views of a video, as evaluate.average says.

    Each video is decoded once, whatever the number of looks, by one of the processes. Afterwards loader.absent names
    the videos that could not be.
    """
    own, count = share(len(loader.corpus.samples)), len(loader.corpus.samples)
    found, place = [torch.zeros(count, config.model.width) for _ in looks], own.start
    with ExitStack() as stack:
        for look in looks:
            stack.enter_context(inference(look.model, config, device))
        for clips in loader.videos(own):
            for look, features in zip(looks, found, strict=True):
                shown = look.order(clips, place)
                encode = look.model.encode_video if config.evaluate.average == "unit" else look.model.video_features
                encoded = encode(shown.flatten(0, 1).to(device))
                features[place : place + len(shown)] = encoded.unflatten(0, shown.shape[:2]).mean(dim=1).cpu()
            place += len(clips)
            beat()
    absent = lists([f"{index} {why}" for index, why in loader.absent.items()])
    loader.absent = {int(index): why for index, _, why in (line.partition(" ") for line in absent)}
    return [functional.normalize(filled(features)) for features in found]


def encode_captions(model: DualEncoder, loader: GalleryLoader, config: Config, device: torch.device) -> Tensor:
    """[Q, D], in the order of the loader's captions; batched by length, so that little is padded.

    Each batch is encoded by one of the processes. Where features depend on the padding (model.text_mean=padded),
    batches are those of the release instead: 12 captions in the order of the gallery.
    """
    captions = loader.captions()
    if not captions:
        raise ValueError(f"{loader.corpus.name}: the gallery has no captions")
    order, together = sorted(range(len(captions)), key=lambda i: len(captions[i])), BATCH
    if config.model.text_mean == "padded":
        order, together = list(range(len(captions))), PADDED_BATCH
    batches = [order[first : first + together] for first in range(0, len(order), together)]
    found = torch.zeros(len(captions), config.model.width)
    with inference(model, config, device):
        for rows in (batches[number] for number in share(len(batches))):
            words = pad_batch([captions[i] for i in rows], loader.tokenizer.pad).to(device)
            found[rows] = model.encode_text(words, words != loader.tokenizer.pad).cpu()
            beat()
    return filled(found)


@contextmanager
def inference(model: nn.Module, config: Config, device: torch.device) -> Iterator[None]:
    """Evaluation mode, no gradients, the precision of fine-tuning, bf16 by autocast; the model's mode is put back."""
    training = model.training
    model.eval()
    bf16 = config.finetune.precision != "fp32"
    try:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            yield
    finally:
        model.train(training)


def frozen(clips: Tensor, first: int) -> Tensor:  # noqa: ARG001
    """Every frame replaced by the middle one: what remains is the information of a single image."""
    middle = clips.shape[2] // 2
    return clips[:, :, middle : middle + 1].expand_as(clips)


def shuffled(seed: int) -> FrameOrder:
    """Frames in random order, another one for each clip: what remains is the information of a set of images."""

    def order(clips: Tensor, first: int) -> Tensor:
        batch, views, frames = clips.shape[:3]
        drawn = torch.rand(first + batch, views, frames, generator=generator(seed, "shuffled frames"))
        chosen = drawn[first:].argsort(dim=2)  # whichever process encodes a clip, its frames get the same order
        return clips[torch.arange(batch)[:, None, None], torch.arange(views)[None, :, None], chosen]

    return order
