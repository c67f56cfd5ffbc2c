"""The videos and queries of an evaluation split, each once and in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from simvtp.data.corpora.registry import Corpus
from simvtp.data.prefetch import prefetch
from simvtp.data.tokenizer import Tokenizer
from simvtp.data.train_loader import ClipReader, tokenize_captions
from simvtp.data.transforms import views
from simvtp.data.video.sampling import FrameSampling
from simvtp.data.video.video import DEFAULT, Decoding, Frames
from simvtp.errors import DataError


class GalleryLoader:
    """Every video once, in corpus order, and every caption as a query of its own.

    corpus: an evaluation split. tokenizer: of its captions. sampling: which frames a clip takes. size: height and
    width of a clip in pixels. segments: clips along a video; crops: square crops of a clip, 1 or 3. batch: crops of a
    batch, which holds whole videos, at least one. words: longest query in tokens. workers: processes that decode; 0: a
    thread of this one. cache: keep decoded frames of the embedded corpus. missing: "error", or "miss" for a black clip
    in place of a video that is missing or broken; no query finds it, and nothing is found for it. decoding: how files
    are read.

    Attributes: owner, the index of each query's video; absent (index -> why), complete once the videos were read.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: Tokenizer,
        *,
        sampling: FrameSampling,
        size: int,
        segments: int,
        crops: int,
        batch: int,
        words: int,
        workers: int,
        cache: bool,
        missing: str = "error",
        decoding: Decoding = DEFAULT,
    ) -> None:
        self.corpus, self.tokenizer, self.missing = corpus, tokenizer, missing
        self.sampling, self.frames, self.size = sampling, sampling.frames, size
        self.segments, self.crops = segments, crops
        self.batch, self.workers = max(1, batch // (segments * crops)), workers
        tokens = tokenize_captions(corpus, tokenizer, words)
        self._queries = [ids for captions in tokens for ids in captions]
        self.owner = [video for video, captions in enumerate(tokens) for _ in captions]
        self.absent: dict[int, str] = {}
        self._clips = ClipReader(corpus, cache, decoding)

    def captions(self) -> list[list[int]]:
        """Token ids of every query, not padded."""
        return self._queries

    def videos(self, chosen: range | None = None) -> Iterator[Tensor]:
        """Batches of the chosen videos (None: all), uint8 [B, V, T, H, W, 3], RGB; V: segments, in each the crops.

        Raises DataError for a missing or broken video, unless `missing` is "miss".
        """
        rows = range(len(self.corpus.samples)) if chosen is None else chosen

        def make(first: int) -> tuple[Tensor, dict[int, str]]:
            seen, broken = [], {}
            for index in rows[first : first + self.batch]:
                try:
                    seen.append(self._views(index))
                except DataError as error:
                    if self.missing != "miss":
                        raise
                    seen.append(self._black())
                    broken[index] = str(error)
            return torch.from_numpy(np.stack(seen)), broken

        for clips, broken in prefetch(make, range(0, len(rows), self.batch), self.workers):
            self.absent.update(broken)
            yield clips

    def _black(self) -> Frames:
        return np.zeros((self.segments * self.crops, self.frames, self.size, self.size, 3), np.uint8)

    def _views(self, index: int) -> Frames:
        def choose(count: int) -> Sequence[int]:
            return self.sampling.test(count, self.segments)

        frames = self._clips.read(index, choose, self.size)  # all segments from one opening
        crops = views(frames, self.crops, self.size)
        shape = (self.segments, self.frames, self.size, self.size, 3)
        return np.stack([crop.reshape(shape) for crop in crops], axis=1).reshape(-1, *shape[1:])
