"""The four objectives of pre-training (SimVTP section 3.3), and the one forward that computes those that are on.

What an objective does not need is not computed: the matching positives are the joint pass, mismatched pairs only pair
embedded rows anew, words are predicted where they are masked, pixels where tubes are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from simvtp.config import Config
from simvtp.exchange import gather_rows, take
from simvtp.layers import Group
from simvtp.masking import TextMask, VideoMask
from simvtp.model import SimVTP, gather, tubes_of


@dataclass(frozen=True)
class Masked:
    """The rows of one process with their masks. video: uint8 [B, T, H, W, 3]; present: bool [B, L], False at [PAD];
    partners: int64 [processes * B], for each text of all processes the row of another clip, the mismatched pair of
    VTM; word_weight: the masked words here as a share of all, times the processes."""

    video: Tensor
    present: Tensor
    video_mask: VideoMask
    text_mask: TextMask
    partners: Tensor
    word_weight: float = 1.0


class Pretraining(nn.Module):
    """A model and its losses as one forward, the thing that is differentiated."""

    def __init__(self, model: SimVTP, config: Config) -> None:
        super().__init__()
        self.model, self.config = model, config

    def forward(self, batch: Masked) -> dict[str, Tensor]:
        return losses(self.model, batch, self.config)


def draw_partners(batch: int, generator: torch.Generator) -> Tensor:
    """int64 [B]: for each row another one, uniformly; never itself."""
    return (torch.arange(batch) + torch.randint(1, batch, (batch,), generator=generator)) % batch


def losses(model: SimVTP, batch: Masked, config: Config) -> dict[str, Tensor]:
    """The losses that are on, unweighted scalars, by the names mvm, mlm, vtc and vtm.

    Their means over the processes are the losses of the whole batch (`simvtp.exchange`).
    """
    objective = config.objective
    tubes = tubes_of(batch.video, config.model)
    videos = model.tubes(tubes, batch.video_mask.visible)
    texts = model.words(batch.text_mask.words)
    count = videos.shape[1]

    groups: dict[str, Group] = {}
    if objective.mvm or objective.mlm or objective.vtm:
        groups["joint"] = joint(videos, texts, batch.present)
    if objective.vtm:
        groups["mismatched"] = joint(take(videos, batch.partners), texts, batch.present)
    if objective.vtc:
        groups["video"] = Group(videos)
        groups["text"] = Group(texts, batch.present)
    encoded = dict(zip(groups, model.encode(list(groups.values())), strict=True))

    found: dict[str, Tensor] = {}
    if model.pixel_decoder is not None:
        mask = batch.video_mask
        predicted = model.pixel_decoder(encoded["joint"].tokens[:, :count], mask.visible, mask.masked)
        found["mvm"] = masked_video_loss(predicted, pixel_targets(gather(tubes, mask.masked)))
    if model.word_head is not None:
        states = encoded["joint"].tokens[:, count:].flatten(0, 1)
        logits = model.word_head(states[batch.text_mask.positions])
        found["mlm"] = masked_word_loss(logits, batch.text_mask.targets) * batch.word_weight
    if objective.vtc:
        alone = gather_rows(encoded["video"].mean()), gather_rows(encoded["text"].mean())
        found["vtc"] = contrastive_loss(*alone, objective.temperature)
    if model.matching_head is not None:
        matched, mismatched = encoded["joint"].mean(), encoded["mismatched"].mean()
        found["vtm"] = matching_loss(model.matching_head(matched), model.matching_head(mismatched))
    return found


def joint(videos: Tensor, texts: Tensor, present: Tensor) -> Group:
    """[B, V, D] and [B, L, D] -> joint sequences [B, V + L, D]."""
    tokens = torch.cat((videos, texts.to(videos.dtype)), dim=1)
    return Group(tokens, torch.cat((present.new_ones(videos.shape[:2]), present), dim=1))


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


def contrastive_loss(videos: Tensor, texts: Tensor, temperature: float) -> Tensor:
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
