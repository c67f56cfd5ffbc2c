"""Two encoders for retrieval, and ranks -> R@1/5/10, MdR, MnR in both directions (SimVTP section 4.2)."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.nn import functional

from simvtp.config import Config
from simvtp.layers import Group, Transformer
from simvtp.model import SimVTP, tubes_of
from simvtp.ranking import ranks
from simvtp.temperature import Temperature
from simvtp.validation import steps_of

Floats = npt.NDArray[np.floating]


class DualEncoder(nn.Module):
    """A video and a text encoder that both start as the pre-trained one; features are mean-pooled, then normed."""

    def __init__(self, pretrained: SimVTP, config: Config) -> None:
        super().__init__()
        self.shape = config.model
        self.tubes, self.words = pretrained.tubes, pretrained.words
        self.video_encoder = _tower(pretrained.encoder, config)
        self.text_encoder = _tower(pretrained.encoder, config)
        # The norm moves behind the pooling; its pre-trained weights keep what the contrast has learned.
        self.video_norm = copy.deepcopy(pretrained.encoder.norm)
        self.text_norm = copy.deepcopy(pretrained.encoder.norm)
        self.temperature = _temperature(pretrained, config)

    def encode_video(self, video: Tensor) -> Tensor:
        """uint8 [B, T, H, W, 3] -> unit vectors [B, D]; every tube is seen."""
        (encoded,) = self.video_encoder([Group(self.tubes(tubes_of(video, self.shape)))])
        return functional.normalize(self.video_norm(encoded.mean()).float())

    def encode_text(self, words: Tensor, present: Tensor) -> Tensor:
        """int64 [B, L] and bool [B, L], False at [PAD] -> unit vectors [B, D]."""
        (encoded,) = self.text_encoder([Group(self.words(words), present)])
        return functional.normalize(self.text_norm(encoded.mean()).float())

    def no_weight_decay(self) -> set[str]:
        return set()

    @staticmethod
    def group_matcher(coarse: bool = False) -> dict[str, object]:  # noqa: ARG004  (timm's signature)
        """Layers for timm's layer decay: the same depth in both encoders."""
        return {
            "stem": r"^(?:tubes|words)\.",
            "blocks": r"^(?:video_|text_)?encoder\.blocks\.(\d+)",
        }


class SharedEncoder(DualEncoder):
    """One encoder, and one norm, for videos and texts."""

    def __init__(self, pretrained: SimVTP, config: Config) -> None:
        nn.Module.__init__(self)
        self.shape = config.model
        self.tubes, self.words = pretrained.tubes, pretrained.words
        self.encoder, self.norm = _tower(pretrained.encoder, config), copy.deepcopy(pretrained.encoder.norm)
        self.temperature = _temperature(pretrained, config)

    @property
    def video_encoder(self) -> Transformer:  # type: ignore[override]
        return self.encoder

    @property
    def text_encoder(self) -> Transformer:  # type: ignore[override]
        return self.encoder

    @property
    def video_norm(self) -> nn.Module:  # type: ignore[override]
        return self.norm

    @property
    def text_norm(self) -> nn.Module:  # type: ignore[override]
        return self.norm


class ZeroShot(SharedEncoder):
    """The pre-trained encoder as it is: every token normed, then pooled, as the contrast of pre-training does."""

    def encode_video(self, video: Tensor) -> Tensor:
        (encoded,) = self.encoder([Group(self.tubes(tubes_of(video, self.shape)))])
        return self._pooled(encoded)

    def encode_text(self, words: Tensor, present: Tensor) -> Tensor:
        (encoded,) = self.encoder([Group(self.words(words), present)])
        return self._pooled(encoded)

    def _pooled(self, encoded: Group) -> Tensor:
        return functional.normalize(Group(self.norm(encoded.tokens), encoded.present).mean().float())


# model.towers -> the model of fine-tuning and retrieval
TOWERS = {"separate": DualEncoder, "shared": SharedEncoder}


def two_encoders(pretrained: SimVTP, config: Config) -> DualEncoder:
    """The encoders of retrieval; those of pre-training unchanged where there is no fine-tuning."""
    if steps_of(config.finetune.length, 1_000_000) == 0:
        return ZeroShot(pretrained, config)
    return TOWERS[config.model.towers](pretrained, config)


def _temperature(pretrained: SimVTP, config: Config) -> Temperature | None:
    """Where it is learned: what pre-training has learned, or the start where that has learned none."""
    if not config.objective.learn_temperature:
        return None
    return copy.deepcopy(pretrained.temperature) or Temperature(config.objective.temperature)


def _tower(encoder: Transformer, config: Config) -> Transformer:
    model = config.model
    tower = Transformer(model.width, model.depth, model.heads, drop_path=config.finetune.drop_path, final_norm=False)
    tower.blocks.load_state_dict(encoder.blocks.state_dict())
    return tower


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
