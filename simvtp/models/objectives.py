"""The four objectives of pre-training (SimVTP section 3.3), and the one forward that computes those that are on.

What an objective does not need is not computed: the matching positives are the joint pass, mismatched pairs only pair
embedded rows anew, words are predicted where they are masked, pixels where tubes are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from simvtp.config.schema import Config
from simvtp.distributed.collectives import gather_rows, take
from simvtp.models.masking import DroppedText, TextMask, VideoMask
from simvtp.models.simvtp import SimVTP, gather, tubes_of
from simvtp.models.transformer import Group

__all__ = ["Masked", "Pretraining", "draw_partners", "losses"]


@dataclass(frozen=True)
class Masked:
    """The rows of one process with their masks. video: uint8 [B, T, H, W, 3]; present: bool [B, L], False at [PAD];
    partners: int64 [processes * B], for each text of all processes the row of another clip, the mismatched pair of
    VTM, or for hard negatives the draw that finds it, float (`simvtp.pairing`); word_weight: the masked words here as
    a share of all, times the processes; dropped: where masked words are dropped."""

    video: Tensor
    present: Tensor
    video_mask: VideoMask
    text_mask: TextMask
    partners: Tensor
    word_weight: float = 1.0
    dropped: DroppedText | None = None


class Pretraining(nn.Module):
    """A model and its losses as one forward, the thing that is differentiated."""

    def __init__(self, model: SimVTP, config: Config) -> None:
        super().__init__()
        self.model, self.config = model, config

    def forward(self, batch: Masked) -> dict[str, Tensor]:
        return losses(self.model, batch, self.config)


def losses(model: SimVTP, batch: Masked, config: Config) -> dict[str, Tensor]:
    """The losses that are on, unweighted scalars, by the names mvm, mlm, vtc and vtm.

    Their means over the processes are the losses of the whole batch (`simvtp.exchange`).
    """
    objective = config.objective
    temperature = objective.temperature if model.temperature is None else model.temperature()
    tubes = tubes_of(batch.video, config.model)
    videos = model.tubes(tubes, batch.video_mask.visible)
    text = READ[config.mask.words](model, batch)
    count = videos.shape[1]

    passes: dict[str, Group] = {}
    if objective.mvm or objective.mlm or objective.vtm:
        passes["joint"] = pair(videos, text)
    if objective.vtc:
        passes["video"], passes["text"] = CONTRASTED[objective.contrast](model, batch, tubes, videos, text)
    if objective.vtm:
        mismatch = MISMATCHED[objective.negatives]
        encoded = mismatch(model, passes, lambda rows: pair(take(videos, rows), text), batch.partners, temperature)
    else:
        encoded = _encode(model, passes)

    found: dict[str, Tensor] = {}
    if model.pixel_decoder is not None:
        mask = batch.video_mask
        predicted = model.pixel_decoder(encoded["joint"].tokens[:, :count], mask.visible, mask.masked)
        found["mvm"] = masked_video_loss(predicted, pixel_targets(gather(tubes, mask.masked)))
    if objective.mlm:
        logits = TOLD[config.mask.words](model, encoded["joint"], count, batch)
        found["mlm"] = masked_word_loss(logits, batch.text_mask.targets) * batch.word_weight
    if objective.vtc:
        found["vtc"] = contrastive_loss(*_features(encoded), temperature)
    if model.matching_head is not None:
        matched, mismatched = encoded["joint"].mean(), encoded["mismatched"].mean()
        found["vtm"] = matching_loss(model.matching_head(matched), model.matching_head(mismatched))
    return found


def _encode(model: SimVTP, passes: dict[str, Group]) -> dict[str, Group]:
    return dict(zip(passes, model.encode(list(passes.values())), strict=True))


def _features(encoded: dict[str, Group]) -> tuple[Tensor, Tensor]:
    """Videos and texts of all processes, each alone, [processes * B, D]."""
    return gather_rows(encoded["video"].mean()), gather_rows(encoded["text"].mean())


def _kept(model: SimVTP, batch: Masked) -> Group:
    return Group(model.words(batch.text_mask.words), batch.present)


def _dropped(model: SimVTP, batch: Masked) -> Group:
    assert batch.dropped is not None
    return Group(gather(model.words(batch.text_mask.words), batch.dropped.kept), batch.dropped.kept_present)


# mask.words -> the caption as the encoder reads it
READ = {"kept": _kept, "dropped": _dropped}


def _told_by_head(model: SimVTP, joint: Group, count: int, batch: Masked) -> Tensor:
    assert model.word_head is not None
    states = joint.tokens[:, count:].flatten(0, 1)
    logits: Tensor = model.word_head(states[batch.text_mask.positions])
    return logits


def _told_by_decoder(model: SimVTP, joint: Group, count: int, batch: Masked) -> Tensor:  # noqa: ARG001
    assert model.word_decoder is not None
    logits: Tensor = model.word_decoder(joint, batch.dropped)
    return logits


# mask.words -> logits of the masked words, [K, words]
TOLD = {"kept": _told_by_head, "dropped": _told_by_decoder}


def _as_masked(model: SimVTP, batch: Masked, tubes: Tensor, videos: Tensor, text: Group) -> tuple[Group, Group]:  # noqa: ARG001
    return Group(videos), text


def _clean(model: SimVTP, batch: Masked, tubes: Tensor, videos: Tensor, text: Group) -> tuple[Group, Group]:  # noqa: ARG001
    return Group(model.tubes(tubes)), Group(model.words(batch.text_mask.clean()), batch.present)


# objective.contrast -> what the contrast encodes, video and text alone
CONTRASTED = {"masked": _as_masked, "clean": _clean}


Mismatch = Callable[[Tensor], Group]


def _with_random(
    model: SimVTP, passes: dict[str, Group], mismatch: Mismatch, partners: Tensor, temperature: float | Tensor  # noqa: ARG001
) -> dict[str, Group]:  # fmt: skip
    return _encode(model, {"joint": passes["joint"], "mismatched": mismatch(partners), **passes})


def _with_hard(
    model: SimVTP, passes: dict[str, Group], mismatch: Mismatch, partners: Tensor, temperature: float | Tensor
) -> dict[str, Group]:
    """Two passes: who is similar is known after the first."""
    encoded = _encode(model, passes)
    rows = hard_partners(*_features(encoded), temperature, partners)
    return encoded | _encode(model, {"mismatched": mismatch(rows)})


# objective.negatives -> everything encoded, the mismatched pairs too
MISMATCHED = {"random": _with_random, "hard": _with_hard}


def pixel_targets(tubes: Tensor) -> Tensor:
    """uint8 [B, M, P] -> float [B, M, P]: each tube with mean 0 and unbiased variance 1 in every colour channel.

    (x - mean) / (std + 1e-6), pixels x in [0, 1] (SimVTP section 3.3, as in VideoMAE). One fused pass gives the biased
    normalisation, one in place corrects it: half the memory traffic of the formula as written.
    """
    pixels = tubes.unflatten(2, (3, -1)).float().mul_(1 / 255)
    count = pixels.shape[3]
    normed, _, reciprocal = torch.native_layer_norm(pixels, (count,), None, None, 1e-12)  # a flat tube gives zeros
    biased = reciprocal.reciprocal()
    return normed.mul_(biased / (biased * math.sqrt(count / (count - 1)) + 1e-6)).flatten(2)


def masked_video_loss(predicted: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error on masked tubes, both [B, M, P]; zero, with zero gradient, where none is masked."""
    if targets.numel() == 0:
        return predicted.sum() * 0.0
    return functional.mse_loss(predicted.float(), targets)


def masked_word_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of [K, words] at the masked words, int64 [K]; zero, with zero gradient, where K is 0."""
    if targets.numel() == 0:
        return logits.sum() * 0.0
    return functional.cross_entropy(logits.float(), targets)


def contrastive_loss(videos: Tensor, texts: Tensor, temperature: float | Tensor) -> Tensor:
    """InfoNCE over the batch, both directions summed. videos, texts: [B, D], row i of one belongs to row i of the
    other; compared by cosine."""
    similarity = functional.normalize(videos.float()) @ functional.normalize(texts.float()).T / temperature
    own = torch.arange(len(similarity), device=similarity.device)
    return functional.cross_entropy(similarity, own) + functional.cross_entropy(similarity.T, own)


def matching_loss(matched: Tensor, mismatched: Tensor) -> Tensor:
    """Two-way cross-entropy of logits [B, 2]: class 1 for pairs that belong together, 0 for mismatched ones."""
    logits = torch.cat((matched, mismatched)).float()
    labels = torch.arange(len(logits), device=logits.device) < len(matched)
    return functional.cross_entropy(logits, labels.long())


def draw_partners(batch: int, generator: torch.Generator) -> Tensor:
    """int64 [B]: for each row another one, uniformly; never itself."""
    return (torch.arange(batch) + torch.randint(1, batch, (batch,), generator=generator)) % batch


def draw_places(batch: int, generator: torch.Generator) -> Tensor:
    """float [B] in [0, 1): what `hard_partners` turns into rows."""
    return torch.rand(batch, generator=generator)


DRAW = {"random": draw_partners, "hard": draw_places}


def hard_partners(videos: Tensor, texts: Tensor, temperature: float | Tensor, places: Tensor) -> Tensor:
    """int64 [B], on the CPU: for each text another row's video, more often the more similar it is (ALBEF, Li et al.
    2021, section 3.2); never its own.

    videos, texts: features [B, D], compared by cosine; places: float [B], where in the cumulated chances the row lies.
    """
    with torch.no_grad():
        cosine = functional.normalize(texts.float()) @ functional.normalize(videos.float()).T
        own = torch.eye(len(cosine), dtype=torch.bool, device=cosine.device)
        reached = (cosine / temperature).masked_fill(own, -torch.inf).softmax(dim=1).double().cumsum(dim=1).cpu()
        return torch.searchsorted(reached, places.unsqueeze(1) * reached[:, -1:], right=True).squeeze(1)


def pair(videos: Tensor, text: Group) -> Group:
    """[B, V, D] and captions of L tokens -> joint sequences [B, V + L, D]."""
    assert text.present is not None
    tokens = torch.cat((videos, text.tokens.to(videos.dtype)), dim=1)
    return Group(tokens, torch.cat((text.present.new_ones(videos.shape[:2]), text.present), dim=1))
