"""Each objective of pre-training measured on held-out clips, with baselines that need no learning.

Every clip is seen twice, with its own caption and with another clip's; all objectives are measured on these two passes.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from simvtp.config.schema import Config
from simvtp.data.transforms import views
from simvtp.data.video.video import Frames
from simvtp.evaluation.video_baselines import FittedVideo, nearest_visible, oracle
from simvtp.models.embeddings import cut_tubes, gather_rows
from simvtp.models.masking import MaskedBatch, VideoMask
from simvtp.models.objectives import contrastive_loss, pair, pixel_targets
from simvtp.models.simvtp import SimVTPModel
from simvtp.models.transformer import Group
from simvtp.runtime.heartbeat import beat

Found = dict[str, float]
Scenes = Callable[[Sequence[str]], Frames]  # `scenes_of`


@dataclass(frozen=True)
class HeldOut:
    """A batch of held-out clips, at least two, with the masks of training; `ids`: video ids [B]."""

    masked: MaskedBatch
    ids: list[str]

    def with_other_videos(self) -> MaskedBatch:
        """Every caption with the video of the clip before, masked as that one is."""
        mask = self.masked.video_mask
        rolled = VideoMask(mask.visible.roll(1, 0), mask.masked.roll(1, 0))
        return dataclasses.replace(self.masked, video=self.masked.video.roll(1, 0), video_mask=rolled)


def measure(
    model: SimVTPModel,
    batches: Sequence[HeldOut],
    fitted: FittedVideo | None,
    captions: Iterable[Sequence[int]],
    scenes: Scenes | None,
    config: Config,
) -> dict[str, Found]:
    """Objective -> its figures, for those that are on and have something masked.

    model: a pre-trained one, in evaluation mode. batches: held-out clips. fitted: baselines of MVM; None: MVM is left
    out. captions: token ids of training captions, whose frequencies are MLM's floor. scenes: the corpus' clips without
    noise, where it knows them.

    mvm: loss; wrong_caption, with another clip's; floor, copy, linear, oracle; progress, how far from the floor to the
    oracle (to zero error if there is none), 1 at the oracle. mlm: loss; wrong_video, with another clip's; floor.
    vtm: loss and accuracy over as many pairs that belong together as do not; floor; clips, how many. vtc: loss, both
    directions summed, over batches of at most 64; floor; recall, R@1 of text to video in a batch.
    """
    frequencies = _frequencies(captions, model.words.word.num_embeddings)
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for batch in batches:
        given, other = batch.masked, batch.with_other_videos()
        if config.objective.mvm or config.objective.mlm or config.objective.vtm:
            joint, mismatched = _joint(model, given, config), _joint(model, other, config)
            if fitted is not None:
                clean = None if scenes is None else _as_seen(scenes(batch.ids), given.video)
                _add(sums["mvm"], _video_errors(model, fitted, clean, (given, joint), (other, mismatched), config))
            if config.objective.mlm:
                _add(sums["mlm"], _word_losses(model, frequencies, (given, joint), (other, mismatched)))
            if model.matching_head is not None:
                _add(sums["vtm"], _matches(model, joint, mismatched, config))
        if config.objective.vtc:
            _add(sums["vtc"], _contrast(model, given, config))
        beat()
    found = {
        name: {key: value / total["count"] for key, value in total.items() if key != "count"}
        for name, total in sums.items()
        if total["count"]
    }
    if "mvm" in found:
        video = found["mvm"]
        way = video["floor"] - video.get("oracle", 0.0)
        video["progress"] = (video["floor"] - video["loss"]) / way if way > 0 else 0.0
    if "vtm" in found:
        found["vtm"]["clips"] = sums["vtm"]["count"] / 2
    return found


def _add(total: dict[str, float], part: Mapping[str, float]) -> None:
    for name, value in part.items():
        total[name] += value


def _joint(model: SimVTPModel, batch: MaskedBatch, config: Config) -> Group:
    """The joint pass over visible tubes and words."""
    videos = model.tubes(cut_tubes(batch.video, config.model), batch.video_mask.visible)
    (joint,) = model.encode([pair(videos, model.embed_text(batch))])
    return joint


def _as_seen(scenes: Frames, video: Tensor) -> Tensor | None:
    """Scenes uint8 [B, frames, height, width, 3] -> uint8 [B, T, H, W, 3], resized as the clips of `video` were; None
    where the clips show only some of the frames."""
    if scenes.shape[1] != video.shape[1]:
        return None
    resized = [views(scene, 1, video.shape[2])[0] for scene in scenes]
    return torch.from_numpy(np.stack(resized)).to(video.device)


def _video_errors(
    model: SimVTPModel,
    fitted: FittedVideo,
    clean: Tensor | None,
    own: tuple[MaskedBatch, Group],
    other: tuple[MaskedBatch, Group],
    config: Config,
) -> Found:
    """Mean squared errors of the masked tubes of a clip, summed over the clips. own, other: the batch and its joint
    pass, with the clips' own captions and with others'. clean: the clips without noise, uint8 [B, T, H, W, 3]."""
    assert model.pixel_decoder is not None
    mask, tubes = own[0].video_mask, cut_tubes(own[0].video, config.model)
    targets = pixel_targets(gather_rows(tubes, mask.masked))
    if not targets.numel():
        return {}

    def error(guess: Tensor, wanted: Tensor = targets) -> float:
        return float(functional.mse_loss(guess.float(), wanted)) * len(targets)

    found = {
        "count": float(len(targets)),
        "floor": error(fitted.mean[mask.masked]),
        "copy": error(pixel_targets(gather_rows(tubes, nearest_visible(mask, config.model)))),
        "linear": error(fitted.from_left(tubes, mask.masked)),
    }
    if clean is not None:
        found["oracle"] = error(oracle(tubes, cut_tubes(clean, config.model), mask.masked))
    for name, (batch, joint) in (("loss", own), ("wrong_caption", other)):
        visible, masked = batch.video_mask.visible, batch.video_mask.masked
        wanted = targets if batch is own[0] else targets.roll(1, 0)
        found[name] = error(model.pixel_decoder(joint.tokens[:, : visible.shape[1]], visible, masked), wanted)
    return found


def _frequencies(captions: Iterable[Sequence[int]], size: int) -> Tensor:
    """Logarithms of the shares of words in captions, [size]; no word has none."""
    counts = torch.ones(size)
    words = torch.tensor([word for ids in captions for word in ids[1:-1]], dtype=torch.int64)
    counts.index_add_(0, words, torch.ones(len(words)))
    return (counts / counts.sum()).log()


def _word_losses(
    model: SimVTPModel, frequencies: Tensor, own: tuple[MaskedBatch, Group], other: tuple[MaskedBatch, Group]
) -> Found:
    """Losses of masked words in nats, summed over the words. own, other: the batch and its joint pass, with the
    captions' own videos and with others'."""
    targets = own[0].text_mask.targets
    if not len(targets):
        return {}
    found = {"count": float(len(targets)), "floor": -float(frequencies[targets.cpu()].sum())}
    for name, (batch, joint) in (("loss", own), ("wrong_video", other)):
        logits = model.predict_words(joint, batch).float()
        found[name] = float(functional.cross_entropy(logits, targets, reduction="sum"))
    return found


def _matches(model: SimVTPModel, joint: Group, mismatched: Group, config: Config) -> Found:
    """Losses and right answers, summed over pairs."""
    assert model.matching_head is not None
    found = {"count": 0.0, "loss": 0.0, "accuracy": 0.0, "floor": 0.0}
    for label, group in ((1, joint), (0, mismatched)):
        logits = model.matching_head(group.mean(config.model.text_mean)).float()
        labels = torch.full((len(logits),), label, device=logits.device)
        _add(found, {
            "count": float(len(logits)), "floor": math.log(2) * len(logits),
            "loss": float(functional.cross_entropy(logits, labels, reduction="sum")),
            "accuracy": float((logits.argmax(dim=1) == labels).sum()),
        })  # fmt: skip
    return found


def _contrast(model: SimVTPModel, given: MaskedBatch, config: Config) -> Found:
    """The contrastive loss of a batch times its clips. Inputs as objective.contrast says, masked or clean."""
    temperature = config.objective.temperature if model.temperature is None else model.temperature()
    count, tubes = len(given.video), cut_tubes(given.video, config.model)
    if config.objective.contrast == "masked":
        groups = [Group(model.tubes(tubes, given.video_mask.visible)), model.embed_text(given)]
    else:
        groups = [Group(model.tubes(tubes)), Group(model.words(given.text_mask.clean()), given.present)]
    video, text = (group.mean(config.model.text_mean) for group in model.encode(groups))
    cosine = functional.normalize(text.float()) @ functional.normalize(video.float()).T
    return {
        "count": float(count),
        "loss": float(contrastive_loss(video, text, temperature)) * count,
        "floor": 2 * math.log(count) * count,
        "recall": float((cosine.argmax(dim=1).cpu() == torch.arange(count)).sum()),
    }
