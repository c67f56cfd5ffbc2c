"""Batches of clips and captions.

A training batch is a pure function of (seed, step): which samples, which caption of each, which frames, crop and
augmentation. So a run that resumes at step k sees what an undisturbed one sees, and the number of workers changes
nothing.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simvtp.data.corpora.registry import Corpus, Sample
from simvtp.data.frame_cache import is_cached, open_frames
from simvtp.data.prefetch import prefetch
from simvtp.data.sampler import EpochSampler, ShardWindow
from simvtp.data.shard_prefetch import ShardCopies, shards_prefetched
from simvtp.data.tokenizer import Tokenizer, pad_batch
from simvtp.data.transforms import Augmentation, crop_and_resize, decoded_side, draw_box
from simvtp.data.video.device_frames import DeviceFrames, frames_on
from simvtp.data.video.frames import resize_short_side
from simvtp.data.video.paths import file_on_disk
from simvtp.data.video.sampling import FrameSampling
from simvtp.data.video.video import DEFAULT, Decoding, Frames, Video
from simvtp.distributed.process_group import largest, lists, rank, rows_of, whole_batch
from simvtp.errors import DataError

CPU = torch.device("cpu")


@dataclass
class Batch:
    """The rows of one process.

    video: uint8 [B, T, H, W, 3], RGB; on the CPU, or already where the training is. words: int64 [B, L], token ids
    filled with [PAD]. ids: video ids [B].
    all_words: int64 [processes * B, L], the captions of all processes, from which each draws the masks of all and
    takes its own. broken: "file\\0why" of videos that could not be decoded, each replaced, caption and all, by the next
    sample in order.
    """

    video: Tensor
    words: Tensor
    all_words: Tensor
    ids: list[str]
    broken: list[str] = field(default_factory=list)


class ClipReader:
    """Reads the videos of a corpus by index: decoded from their files, or looked up in the frame cache.

    cache: keep decoded frames where `frame_cache.is_cached`. decoding: how files are read.
    """

    def __init__(self, corpus: Corpus, cache: bool, decoding: Decoding = DEFAULT) -> None:
        self.decoding = decoding
        self.samples: tuple[Sample, ...] = corpus.samples
        self.cached: NDArray[np.uint8] | None = None
        if cache and is_cached(corpus):
            whole = corpus.whole or corpus  # one cache for all fractions of a corpus
            paths = [sample.path for sample in whole.samples]
            # as a plain array: each slice of a memory map costs more than the pixels of a small frame
            self.cached = np.asarray(open_frames(paths, f"{corpus.name}, {corpus.split}"))
            rows = {sample.video_id: row for row, sample in enumerate(whole.samples)}
            self.rows = [rows[sample.video_id] for sample in self.samples]

    def read(
        self, index: int, choose: Callable[[int], Sequence[int]], short_side: int, copy: Path | None = None
    ) -> Frames:
        """uint8 [T, H, W, 3] of the frames that `choose` picks, given how many there are.

        short_side: what a file's frames need not be above. copy: where the video is read, if not at its own place.
        Raises DataError if it cannot be decoded.
        """
        if self.cached is not None:
            chosen = list(choose(self.cached.shape[1]))
            frames = np.asarray(self.cached[self.rows[index]])
            # small while decoding or small afterwards is the same up to rounding
            return resize_short_side(frames if chosen == list(range(len(frames))) else frames[chosen], short_side)
        path = self.samples[index].path
        try:
            video = Video(copy or path, self.decoding.reader, self.decoding.seconds)
            return video.frames(choose(video.frame_count), short_side)
        except DataError as error:
            if copy is None:
                raise
            # the copy is gone soon: what is broken lies where the corpus is
            raise DataError(str(error).replace(str(copy.parents[2]), str(path.parents[2]))) from error


class TrainLoader:
    """Batches without end; of each batch, the rows of this process.

    corpus: the training videos. tokenizer: of their captions. sampling: which frames a clip takes, at a random place.
    size: height and width of a clip in pixels. crop: none, multiscale or resized, crop_area: the least share of a frame
    that a resized one covers (`draw_box`). augmentation: what follows the crop. batch: samples of a step over all
    processes. accumulate: parts that a batch is computed in. words: longest caption in tokens. seed: of order, frames,
    crops and captions. captions: random (another one of a video's each epoch) or first. workers: processes that decode;
    0: a thread of this one. cache: keep decoded frames of the embedded corpus. failures: share of the videos that may
    turn out to be broken. decoding: how files are read. order: shuffled, shards or lengths (`sampler`). stream: a
    folder that shards are copied to, window by window, and read from (`shard_prefetch`); empty: videos are read at
    their place. device: where the training is; clips that are cached frames as they are come from its memory, where
    they fit there (`device_frames`).

    Attributes: steps_per_epoch; replaced, the samples replaced so far because their video could not be decoded, in any
    process. Raises DataError where the corpus has fewer samples than a batch.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: Tokenizer,
        *,
        sampling: FrameSampling,
        size: int,
        crop: str,
        crop_area: float = 0.5,
        augmentation: Augmentation,
        batch: int,
        accumulate: int = 1,
        words: int,
        seed: int,
        captions: str = "random",
        workers: int,
        cache: bool,
        failures: float = 0.01,
        decoding: Decoding = DEFAULT,
        order: str = "shuffled",
        stream: str = "",
        device: torch.device = CPU,
    ) -> None:
        if len(corpus.samples) < batch:
            raise DataError(
                f"{corpus.name}, split {corpus.split}: {len(corpus.samples)} videos are less than one batch of {batch}"
            )
        self.corpus, self.sampling = corpus, sampling
        self.size, self.crop, self.crop_area = size, crop, crop_area
        self.augmentation = augmentation
        self.batch, self.accumulate, self.seed, self.workers = batch, accumulate, seed, workers
        self.rows = rows_of(batch, accumulate, rank())
        self.steps_per_epoch = len(corpus.samples) // batch
        self.replaced, self.failures = 0, failures
        self._broken: dict[str, str] = {}
        self._pad = tokenizer.pad
        self._captions = tokenize_captions(corpus, tokenizer, words)
        if captions == "first":
            self._captions = [each[:1] for each in self._captions]
        self._clips = ClipReader(corpus, cache, decoding)
        cached, as_cached = self._clips.cached, crop == "none" and augmentation.is_identity
        self._on_device: DeviceFrames | None = None
        if as_cached and cached is not None and cached.shape[2:4] == (size, size):
            self._on_device = frames_on(device, cached, self._clips.rows)
        self._order = EpochSampler(
            corpus.samples, seed, order, batch, lambda epoch, index: len(self._caption(epoch, index))
        )
        self._stream = stream if self._order.windows and self._clips.cached is None else ""
        self._copies: ShardCopies | None = None

    def batches(self, first_step: int) -> Iterator[Batch]:
        """Batches from `first_step` on; raises DataError where too many videos are broken."""
        if not self._stream:
            yield from self._batches(first_step)
            return
        with shards_prefetched(self._stream, self._window, *self._windows_of(first_step)) as (self._copies, fetcher):
            # In a name, the batches outlive the copies: workers that wait for one end with them.
            made = self._batches(first_step)
            try:
                for step, batch in enumerate(made, start=first_step):
                    if fetcher:
                        fetcher.show(*self._windows_of(step + 1))
                    yield batch
            except DataError as error:
                if fetcher and fetcher.error:
                    raise DataError(fetcher.error) from error
                raise

    def _batches(self, first_step: int) -> Iterator[Batch]:
        for batch in prefetch(self.make, range(first_step, sys.maxsize), self.workers):
            length, broken = largest(batch.words.shape[1], len(batch.broken))
            if self._on_device is not None:
                batch.video = self._on_device.clips(batch.video)
            batch.words, batch.all_words = whole_batch(batch.words, self.accumulate, length, self._pad)
            if broken:
                self._count(lists(batch.broken))
            yield batch

    def make(self, step: int) -> Batch:
        """This process's rows of the batch of one step; where clips are on the device, `video` is frame numbers.

        Raises DataError if no video of the corpus can be decoded, or a streamed copy is gone.
        """
        epoch, place = divmod(step, self.steps_per_epoch)
        order, windows = self._order.epoch(epoch).order, self._fetched(step)
        chosen, videos, broken = [], [], []
        for position in (place * self.batch + row for row in self.rows):
            for later in range(len(order)):
                index = order[(position + later) % len(order)]
                draws = _draws(self.seed, epoch, index)
                copy = self._copy(epoch, (position + later) % len(order), windows)
                try:
                    videos.append(self._clip(index, epoch, draws, copy))
                except DataError as error:
                    if copy is not None and not file_on_disk(copy).exists():  # that is no fault of the video
                        raise DataError(f"machine.stream: {file_on_disk(copy)} is gone before its time") from error
                    broken.append(f"{self.corpus.samples[index].path}\0{error}")
                    continue
                chosen.append(index)
                break
            else:
                why = broken[-1].partition("\0")[2]
                raise DataError(f"{self.corpus.name}: none of the {len(order)} videos can be decoded; {why}")
        words = pad_batch([self._caption(epoch, index) for index in chosen], self._pad)
        ids = [self.corpus.samples[index].video_id for index in chosen]
        return Batch(torch.from_numpy(np.stack(videos)), words, words, ids, broken)

    def _caption(self, epoch: int, index: int) -> list[int]:
        """Token ids of the caption that an epoch shows of a sample."""
        captions = self._captions[index]
        return captions[0] if len(captions) == 1 else captions[int(_draws(self.seed, epoch, index)[0] * len(captions))]

    def _windows_of(self, step: int) -> tuple[int, int]:
        """First and last window, counted over all epochs, that a step shows."""
        epoch, place = divmod(step, self.steps_per_epoch)
        found, before = self._order.epoch(epoch), epoch * self._order.windows
        first, last = place * self.batch, (place + 1) * self.batch - 1
        return before + found.window_of(first), before + found.window_of(last)

    def _window(self, number: int) -> ShardWindow:
        epoch, place = divmod(number, self._order.windows)
        return self._order.epoch(epoch).windows[place]

    def _fetched(self, step: int) -> range:
        """The windows of a step, once their copies are there; none where videos are read at their place."""
        if self._copies is None:
            return range(0)
        first, last = self._windows_of(step)
        for window in range(first, last + 1):
            self._copies.wait(window)
        return range(first, last + 1)

    def _copy(self, epoch: int, position: int, fetched: range) -> Path | None:
        """Where the video at a position was copied to; None: a replacement from elsewhere, read at its place."""
        found = self._order.epoch(epoch)
        window = epoch * self._order.windows + found.window_of(position)
        if self._copies is None or window not in fetched:
            return None
        return self._copies.path(window, self.corpus.samples[found.order[position]].path)

    def _clip(self, index: int, epoch: int, draws: Sequence[float], copy: Path | None) -> Frames | NDArray[np.int64]:
        """uint8 [T, size, size, 3]; or, where frames are on the device, their numbers there, int64 [T]."""

        def choose(count: int) -> Sequence[int]:
            return self.sampling.train(count, draws[1])

        if self._on_device is not None:
            return self._on_device.numbers(index, choose(self._on_device.length))
        frames = self._clips.read(index, choose, decoded_side(self.crop, self.size, self.crop_area), copy)
        height, width = frames.shape[1:3]
        box = draw_box(self.crop, height, width, draws[2:], size=self.size, area=self.crop_area)
        clip = crop_and_resize(frames, box, self.size)
        if self.augmentation.is_identity:
            return clip
        return self.augmentation(clip, self.corpus.samples[index].captions, self.seed, epoch, index)

    def _count(self, broken: Sequence[str]) -> None:
        """Note replaced samples; stop when too many of the corpus's videos are broken."""
        self.replaced += len(broken)
        for file, _, why in (entry.partition("\0") for entry in broken):
            self._broken.setdefault(file, why)  # it counts once, wherever its copy was read
        if len(self._broken) > self.failures * len(self.corpus.samples):
            shown = "; ".join(list(self._broken.values())[:5]) + ("; ..." if len(self._broken) > 5 else "")
            raise DataError(
                f"{self.corpus.name}, split {self.corpus.split}: {len(self._broken)} of {len(self.corpus.samples)} "
                f"videos cannot be decoded, more than data.failures ({self.failures:.2%}): {shown}. Remove or mend "
                "these files, or allow more of them"
            )


def tokenize_captions(corpus: Corpus, tokenizer: Tokenizer, words: int) -> list[list[list[int]]]:
    """Token ids of every caption of every sample."""
    flat = iter(tokenizer.encode([caption for sample in corpus.samples for caption in sample.captions], words))
    return [[next(flat) for _ in sample.captions] for sample in corpus.samples]


def _draws(seed: int, epoch: int, index: int) -> list[float]:
    """Six numbers in [0, 1): caption, place in time, and four for the crop. A hash costs a tenth of a generator."""
    digest = hashlib.blake2b(f"{seed} {epoch} {index}".encode(), digest_size=48).digest()
    return [int.from_bytes(digest[i : i + 8], "big") / 2**64 for i in range(0, 48, 8)]
