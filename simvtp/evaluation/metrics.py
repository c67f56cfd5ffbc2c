"""Ranks of text-video retrieval -> R@1/5/10, MdR, MnR in both directions, and the interval of one run (section 4.2).

Q captions are the queries of text-to-video retrieval over N videos, and the gallery of video-to-text retrieval. A
caption may share its video with others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]

BLOCK = 4096  # captions and videos of a block of similarities: 128 MB of float64
RESAMPLES = 2000
SEED = 20221207  # fixed: the same ranks give the same interval


@dataclass(frozen=True)
class Retrieval:
    """Metrics and per-query ranks, both by the names text_to_video and video_to_text."""

    metrics: dict[str, dict[str, float]]
    ranks: dict[str, list[float]]


def both_directions(videos: Tensor, captions: Tensor, owner: npt.ArrayLike, absent: Collection[int] = ()) -> Retrieval:
    """Metrics and ranks from unit features.

    videos: float [N, D]; captions: float [Q, D]; owner: int [Q], the video of each caption; absent: see `ranked`.
    """
    return _retrieval(*feature_ranks(videos, captions, owner, absent), owner, absent)


def ranked(
    text_to_video: Floats, video_to_text: Floats, owner: npt.ArrayLike, absent: Collection[int] = ()
) -> Retrieval:
    """Metrics and ranks from the scores of each direction, both float [Q, N].

    absent: videos that are missing. They outrank nothing, their captions have the last rank, and so have they.
    """
    of_captions, _ = matrix_ranks(text_to_video, owner, absent)
    _, of_videos = matrix_ranks(video_to_text, owner)
    return _retrieval(of_captions, of_videos, owner, absent)


def _retrieval(of_captions: Doubles, of_videos: Doubles, owner: npt.ArrayLike, absent: Collection[int]) -> Retrieval:
    ranks = {"text_to_video": of_captions, "video_to_text": of_videos}
    galleries = {"text_to_video": len(of_videos), "video_to_text": len(of_captions)}
    if absent:
        ranks["text_to_video"][np.isin(owner, list(absent))] = galleries["text_to_video"]
        ranks["video_to_text"][list(absent)] = galleries["video_to_text"]
    return Retrieval(
        metrics={name: metrics(values, galleries[name]) for name, values in ranks.items()},
        ranks={name: [float(rank) for rank in values] for name, values in ranks.items()},
    )


def metrics(ranks: Floats, gallery: int) -> dict[str, float]:
    """R@1, R@5, R@10 in percent, MdR and MnR (median and mean rank), and the sizes they refer to.

    ranks: float [queries], from 1; gallery: how many candidates each query has.
    """
    recalls = {f"R@{k}": 100.0 * float(np.mean(ranks <= k)) for k in (1, 5, 10)}
    return recalls | {
        "MdR": float(np.median(ranks)),
        "MnR": float(np.mean(ranks)),
        "queries": len(ranks),
        "gallery": gallery,
    }


def feature_ranks(
    videos: Tensor, captions: Tensor, owner: npt.ArrayLike, absent: Collection[int] = (), block: int = BLOCK
) -> tuple[Doubles, Doubles]:
    """Ranks by the cosines of unit features, float64 [Q] of captions and [N] of videos; see `_ranks`.

    videos: float [N, D]; captions: float [Q, D]; block: side of the blocks of similarities, which bounds the memory.
    Raises ValueError if a feature is not finite, or a video has no caption.
    """
    for name, features in (("videos", videos), ("captions", captions)):
        broken = int((~features.isfinite().all(dim=1)).sum())
        if broken:
            raise ValueError(f"features of {broken} {name} are not finite; no rank can be given")

    def scores(rows: slice, columns: slice) -> Tensor:
        return captions[rows].double() @ videos[columns].double().T

    return _ranks(scores, len(captions), len(videos), owner, absent, block)


def matrix_ranks(
    similarity: Floats, owner: npt.ArrayLike, absent: Collection[int] = (), block: int = BLOCK
) -> tuple[Doubles, Doubles]:
    """Ranks by a matrix of scores, float64 [Q] of captions and [N] of videos; see `_ranks`.

    similarity: float [Q, N]. Raises ValueError if a score is not finite, or a video has no caption.
    """
    matrix = np.asarray(similarity)
    captions, videos = matrix.shape
    broken = int((~np.isfinite(matrix)).sum())
    if broken:
        raise ValueError(f"{broken} similarities are not finite; no rank can be given")

    def scores(rows: slice, columns: slice) -> Tensor:
        return torch.from_numpy(matrix[rows, columns].astype(np.float64))

    return _ranks(scores, captions, videos, owner, absent, block)


def _ranks(
    scores: Callable[[slice, slice], Tensor],
    captions: int,
    videos: int,
    owner: npt.ArrayLike,
    absent: Collection[int],
    block: int,
) -> tuple[Doubles, Doubles]:
    """Ranks from 1 of each caption's video among all videos, and of each video's best caption among those of others.

    A candidate that ties with the right one counts half (the mean rank over the ties), so equal scores everywhere give
    chance and not 100%. Captions of one video do not compete with each other.

    scores(rows, columns): float64 [rows, columns] of some captions and some videos, the same at every call. With
    features, the rounding of a score may depend on its block, and a score is compared with those of other blocks only
    as the best or right one; a gallery of one block has the ranks of the whole matrix bit by bit.
    owner: int [captions], the video of each caption.
    absent: videos that no caption of another video prefers.
    """
    own = _checked_owner(owner, captions, videos)
    row_blocks, column_blocks = (
        [slice(k, min(k + block, count)) for k in range(0, count, block)] for count in (captions, videos)
    )
    blocks = list(product(row_blocks, column_blocks))
    right = torch.empty(captions, dtype=torch.float64)
    best = torch.full((videos,), -torch.inf, dtype=torch.float64)
    for rows, columns in blocks:
        row, column = _matches(own, rows, columns).nonzero(as_tuple=True)
        if len(row):
            found = scores(rows, columns)[row, column]
            right[rows.start + row] = found
            best.scatter_reduce_(0, columns.start + column, found, "amax")

    of_captions, of_videos = (torch.ones(count, dtype=torch.float64) for count in (captions, videos))
    missing = torch.zeros(videos, dtype=torch.bool)
    missing[list(absent)] = True
    for rows, columns in blocks:
        others = scores(rows, columns).masked_fill_(_matches(own, rows, columns), -torch.inf)
        of_videos[columns] += _above(others, best[columns], dim=0)
        others[:, missing[columns]] = -torch.inf
        of_captions[rows] += _above(others, right[rows, None], dim=1)
    return of_captions.numpy(), of_videos.numpy()


def _matches(own: Tensor, rows: slice, columns: slice) -> Tensor:
    """bool [rows, columns]: which of these captions belong to which of these videos."""
    return own[rows, None] == torch.arange(columns.start, columns.stop)


def _above(scores: Tensor, right: Tensor, dim: int) -> Tensor:
    """How many scores are above the right one along `dim`; ties count half."""
    return (scores > right).sum(dim=dim) + (scores == right).sum(dim=dim) / 2


def _checked_owner(owner: npt.ArrayLike, captions: int, videos: int) -> Tensor:
    """int64 [captions]; raises ValueError if it has another length, or a video has no caption."""
    own = np.asarray(owner, dtype=np.int64)
    if len(own) != captions:
        raise ValueError(f"there are {captions} captions, but {len(own)} owners of captions")
    lacking = np.setdiff1d(np.arange(videos), own)
    if len(lacking):
        raise ValueError(f"video {lacking[0]} of the gallery has no caption to be found by")
    return torch.as_tensor(own)


def similarities(videos: Tensor, captions: Tensor) -> Doubles:
    """Unit features of videos [N, D] and captions [Q, D] -> cosines, float64 [Q, N]."""
    cosines: Doubles = (captions.double() @ videos.double().T).numpy()
    return cosines


def without_absent(similarity: Floats, absent: Collection[int]) -> Floats:
    """Scores [Q, N] in which every caption has an absent video last."""
    if not absent:
        return similarity
    scores = np.array(similarity)
    scores[:, list(absent)] = similarity.min() - 1
    return scores


def dual_softmax(similarity: Floats, temperature: float, axis: int) -> Floats:
    """Similarities times their softmax over all queries (CAMoE, Cheng et al. 2021, section 3.4), float [Q, N].

    axis: along which the queries lie, 0 if captions are the queries. All queries must be known at once, so this is
    not retrieval of one query at a time and has a column of its own.
    """
    scaled = similarity / temperature
    shares = np.exp(scaled - scaled.max(axis=axis, keepdims=True))
    scores: Floats = similarity * (shares / shares.sum(axis=axis, keepdims=True))
    return scores


def recall_interval(ranks: Sequence[float], owners: Sequence[int] | None = None, first: int = 1) -> tuple[float, float]:
    """95% interval of R@first in percent, percentiles of a bootstrap over queries.

    ranks: of each query. owners: the video of each query, where some have several captions: these are resampled
    together.
    """
    hits = (np.asarray(ranks) <= first).astype(np.float64)
    groups = np.arange(len(hits)) if owners is None else np.asarray(owners)
    found, queries = np.bincount(groups, weights=hits), np.bincount(groups)
    found, queries = found[queries > 0], queries[queries > 0]
    drawn = np.random.default_rng(SEED).multinomial(len(found), np.full(len(found), 1 / len(found)), size=RESAMPLES)
    low, high = np.percentile(100 * (drawn @ found) / (drawn @ queries), (2.5, 97.5))
    return float(low), float(high)
