"""Two encoders for retrieval, and ranks -> R@1/5/10, MdR, MnR in both directions (SimVTP section 4.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.floating]


def caption_ranks(similarity: Floats, owner: npt.ArrayLike) -> Floats:
    """Text to video: the rank, from 1, of each caption's own video among all videos.

    similarity: [captions, videos]; owner: int [captions], the video of each caption. Videos that tie with the right
    one count half each (the mean rank over the ties), so a constant matrix scores chance and not 100%.
    Raises ValueError where a similarity is not finite.
    """
    scores, own = _checked(similarity, owner)
    right = scores[np.arange(len(own)), own][:, None]
    above = (scores > right).sum(axis=1)
    ties = (scores == right).sum(axis=1) - 1
    return 1 + above + ties / 2


def video_ranks(similarity: Floats, owner: npt.ArrayLike) -> Floats:
    """Video to text: the rank of each video's best own caption among the captions of other videos; ties as above.

    Raises ValueError where a similarity is not finite or a video has no caption.
    """
    scores, own = _checked(similarity, owner)
    ranks = np.empty(scores.shape[1])
    for video in range(scores.shape[1]):
        mine = own == video
        if not mine.any():
            raise ValueError(f"video {video} of the gallery has no caption to be found by")
        column = scores[:, video]
        best, others = column[mine].max(), column[~mine]
        ranks[video] = 1 + (others > best).sum() + (others == best).sum() / 2
    return ranks


def _checked(similarity: Floats, owner: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.intp]]:
    scores, own = np.asarray(similarity), np.asarray(owner, dtype=np.intp)
    if scores.ndim != 2 or scores.shape[0] != len(own):
        raise ValueError(f"similarity is {scores.shape}, but there are {len(own)} captions")
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} similarities are not finite; no rank can be given")
    return scores, own


def metrics(ranks: Floats, gallery: int) -> dict[str, float]:
    """R@1, R@5, R@10 in percent, MdR and MnR (median and mean rank), and the sizes they refer to."""
    found = {f"R@{k}": 100.0 * float(np.mean(ranks <= k)) for k in (1, 5, 10)}
    return found | {
        "MdR": float(np.median(ranks)),
        "MnR": float(np.mean(ranks)),
        "queries": len(ranks),
        "gallery": gallery,
    }


@dataclass(frozen=True)
class Retrieval:
    """Metrics and per-query ranks, both by the names text_to_video and video_to_text."""

    metrics: dict[str, dict[str, float]]
    ranks: dict[str, list[float]]


def similarities(videos: Tensor, captions: Tensor) -> Floats:
    """Unit features of videos [N, D] and captions [Q, D] -> cosines, float64 [Q, N]."""
    found: Floats = (captions.double() @ videos.double().T).numpy()
    return found


def both_directions(videos: Tensor, captions: Tensor, owner: npt.ArrayLike, absent: Collection[int] = ()) -> Retrieval:
    """Unit features of videos [N, D] and captions [Q, D], and the video of each caption -> metrics and ranks."""
    return _retrieval(*ranks(videos, captions, owner, absent), owner, absent)


def without(similarity: Floats, absent: Collection[int]) -> Floats:
    """Scores [captions, videos] in which no caption prefers an absent video to one that is there."""
    if not absent:
        return similarity
    found = np.array(similarity)
    found[:, list(absent)] = similarity.min() - 1
    return found


def ranked(
    text_to_video: Floats, video_to_text: Floats, owner: npt.ArrayLike, absent: Collection[int] = ()
) -> Retrieval:
    """Metrics and ranks from the scores of each direction, both [captions, videos].

    absent: videos that are missing. They outrank nothing, their captions have the last rank, and so have they.
    """
    of_captions = caption_ranks(without(text_to_video, absent), owner)
    return _retrieval(of_captions, video_ranks(video_to_text, owner), owner, absent)


def _retrieval(of_captions: Floats, of_videos: Floats, owner: npt.ArrayLike, absent: Collection[int]) -> Retrieval:
    found = {"text_to_video": of_captions, "video_to_text": of_videos}
    galleries = {"text_to_video": len(of_videos), "video_to_text": len(of_captions)}
    if absent:
        found["text_to_video"][np.isin(owner, list(absent))] = galleries["text_to_video"]
        found["video_to_text"][list(absent)] = galleries["video_to_text"]
    return Retrieval(
        metrics={name: metrics(values, galleries[name]) for name, values in found.items()},
        ranks={name: [float(rank) for rank in values] for name, values in found.items()},
    )


def dual_softmax(similarity: Floats, temperature: float, axis: int) -> Floats:
    """Similarities times their softmax over all queries (CAMoE, Cheng et al. 2021, section 3.4), [captions, videos].

    axis: along which the queries lie, 0 where captions ask. Every query is known at once, so this is not retrieval of
    one query at a time and has a column of its own.
    """
    scaled = similarity / temperature
    shares = np.exp(scaled - scaled.max(axis=axis, keepdims=True))
    found: Floats = similarity * (shares / shares.sum(axis=axis, keepdims=True))
    return found


RESAMPLES = 2000


SEED = 20221207  # fixed: the same ranks give the same interval


def recall_interval(ranks: Sequence[float], owners: Sequence[int] | None = None, first: int = 1) -> tuple[float, float]:
    """95% interval of R@first in percent, from ranks of queries, percentiles of a bootstrap.

    owners: the video of each query, where some have several captions: those are drawn together.
    """
    hits = (np.asarray(ranks) <= first).astype(np.float64)
    groups = np.arange(len(hits)) if owners is None else np.asarray(owners)
    found, queries = np.bincount(groups, weights=hits), np.bincount(groups)
    found, queries = found[queries > 0], queries[queries > 0]
    drawn = np.random.default_rng(SEED).multinomial(len(found), np.full(len(found), 1 / len(found)), size=RESAMPLES)
    low, high = np.percentile(100 * (drawn @ found) / (drawn @ queries), (2.5, 97.5))
    return float(low), float(high)


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
