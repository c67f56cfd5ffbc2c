"""Ranks of a gallery of any size, from features, by blocks of the similarity matrix: no more than one is held."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

BLOCK = 4096  # captions and videos of a block: 128 MB of float64

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Block:
    """Similarities of some captions (rows) and some videos (columns), float64, and which pairs belong together."""

    captions: slice
    videos: slice
    scores: Tensor
    own: Tensor


def ranks(
    videos: Tensor, captions: Tensor, owner: npt.ArrayLike, absent: Collection[int] = (), block: int = BLOCK
) -> tuple[Doubles, Doubles]:
    """What `retrieval.caption_ranks` and `video_ranks` give for the cosines of unit features, float64 [Q] and [N].

    videos: [N, D]; captions: [Q, D]; owner: int [Q], the video of each caption; absent: videos that no caption of
    another video prefers. A tie counts half. A score is compared
    only with scores of its own block's arithmetic, so a gallery of one block has the ranks of the whole matrix bit by
    bit. Raises ValueError where a feature is not finite, or a video has no caption.
    """
    _check(videos, captions, owner)
    own = torch.as_tensor(np.asarray(owner, dtype=np.int64))
    right = torch.empty(len(captions), dtype=torch.float64)
    best = torch.full((len(videos),), -torch.inf, dtype=torch.float64)
    for part in _blocks(videos, captions, own, block, only_own=True):
        rows, columns = part.own.nonzero(as_tuple=True)
        found = part.scores[rows, columns]
        right[part.captions.start + rows] = found
        best.scatter_reduce_(0, part.videos.start + columns, found, "amax")

    of_captions, of_videos = (torch.zeros(len(features), dtype=torch.float64) for features in (captions, videos))
    missing = torch.zeros(len(videos), dtype=torch.bool)
    missing[list(absent)] = True
    for part in _blocks(videos, captions, own, block, only_own=False):
        mine, highest = right[part.captions, None], best[part.videos]
        others = part.scores.masked_fill_(part.own, -torch.inf)
        of_videos[part.videos] += (others > highest).sum(dim=0) + (others == highest).sum(dim=0) / 2
        others[:, missing[part.videos]] = -torch.inf
        of_captions[part.captions] += (others > mine).sum(dim=1) + (others == mine).sum(dim=1) / 2
    return (1 + of_captions).numpy(), (1 + of_videos).numpy()


def _check(videos: Tensor, captions: Tensor, owner: npt.ArrayLike) -> None:
    own = np.asarray(owner, dtype=np.intp)
    if len(own) != len(captions):
        raise ValueError(f"there are {len(captions)} captions, but {len(own)} owners of captions")
    for name, features in (("videos", videos), ("captions", captions)):
        broken = int((~features.isfinite().all(dim=1)).sum())
        if broken:
            raise ValueError(f"features of {broken} {name} are not finite; no rank can be given")
    lacking = np.setdiff1d(np.arange(len(videos)), own)
    if len(lacking):
        raise ValueError(f"video {lacking[0]} of the gallery has no caption to be found by")


def _blocks(videos: Tensor, captions: Tensor, own: Tensor, block: int, *, only_own: bool) -> Iterator[_Block]:
    """All blocks, or those with a pair that belongs together; the same arithmetic in both cases."""
    for top in range(0, len(captions), block):
        rows = slice(top, min(top + block, len(captions)))
        asked = captions[rows].double()
        for left in range(0, len(videos), block):
            columns = slice(left, min(left + block, len(videos)))
            together = own[rows, None] == torch.arange(columns.start, columns.stop)
            if not only_own or bool(together.any()):
                yield _Block(rows, columns, asked @ videos[columns].double().T, together)
