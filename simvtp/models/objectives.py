"""The four objectives of pre-training and the one forward that computes those that are on (SimVTP section 3.3).

MVM masked video modelling, MLM masked language modelling, VTC video-text contrast, VTM video-text matching; and those
of plugins (docs/extend.md).

What an objective does not need is not computed: the matching positives are the joint pass, mismatched pairs only pair
embedded rows anew, words are predicted where they are masked, pixels where tubes are.

Shapes: B clips on this process, V visible and M masked tubes of P pixel values each, L words, K masked words, D the
encoder's width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from simvtp.config.plugins.usage import active
from simvtp.config.schema import Config
from simvtp.distributed.collectives import all_gather_with_grad, all_to_all
from simvtp.distributed.device_copy import copy_to_device
from simvtp.errors import ConfigError
from simvtp.models.embeddings import cut_tubes, gather_rows
from simvtp.models.masking import MaskedBatch
from simvtp.models.passes import passes_of
from simvtp.models.simvtp import SimVTPModel
from simvtp.models.transformer import Group


class Pretraining(nn.Module):
    """A model and its losses as one forward, the module that is differentiated.

    model: whose weights are trained. config: its objective section says which losses are on.
    """

    def __init__(self, model: SimVTPModel, config: Config) -> None:
        super().__init__()
        self.model, self.config = model, config

    def forward(self, batch: MaskedBatch) -> dict[str, Tensor]:
        """The losses by name, scalars []; see `losses`."""
        return losses(self.model, batch, self.config)


@dataclass(frozen=True)
class Step:
    """What an objective of a plugin sees of a step of pre-training.

    config: of the run. model: whose parameters are trained. batch: clips and captions of this process, with their
    masks. tubes: its clips as tubes, uint8 [B, tubes, P]. passes: name -> outputs of the encoder, for the passes of the
    objective and those of the others that are on; in a joint pass the V visible tubes come first.
    """

    config: Config
    model: SimVTPModel
    batch: MaskedBatch
    tubes: Tensor
    passes: Mapping[str, Group]


def weights_of(config: Config) -> dict[str, float]:
    """The weight of each loss by name, those of plugins that are on among them."""
    own = {name: getattr(config.objective, name) for name in ("mvm", "mlm", "vtc", "vtm")}
    return own | {name: weight for name, (weight, _) in active(config, "objective").items()}


def losses(model: SimVTPModel, batch: MaskedBatch, config: Config) -> dict[str, Tensor]:
    """The losses that are on, unweighted scalars, [], by the names mvm, mlm, vtc and vtm, and those of plugins.

    Their means over the processes are the losses of the whole batch (`simvtp.distributed.collectives`). Raises
    ConfigError if the loss of a plugin is no scalar.
    """
    objective, pool, group = config.objective, config.model.text_mean, config.pretrain.group
    temperature = objective.temperature if model.temperature is None else model.temperature()
    tubes = cut_tubes(batch.video, config.model)
    videos, texts = model.tubes(tubes, batch.video_mask.visible), model.embed_text(batch)

    wanted, passes = passes_of(config), dict[str, Group]()
    if "joint" in wanted:
        passes["joint"] = pair(videos, texts)
    if "mismatched" in wanted and objective.negatives == "random":
        passes["mismatched"] = pair(all_to_all(videos, batch.negatives), texts)
    if "video" in wanted:
        passes["video"] = Group(videos)
    if "text" in wanted:
        passes["text"] = texts
    if "clean_video" in wanted:
        passes["clean_video"] = Group(model.tubes(tubes))
    if "clean_text" in wanted:
        passes["clean_text"] = Group(model.words(batch.text_mask.clean()), batch.present)
    encoded = _encode(model, passes)
    if objective.vtc:
        contrasted = ("video", "text") if objective.contrast == "masked" else ("clean_video", "clean_text")
        video_features, text_features = (all_gather_with_grad(encoded[name].mean(pool)) for name in contrasted)
    if objective.vtm and objective.negatives == "hard":
        negatives = sample_hard_negatives(video_features, text_features, temperature, batch.negatives, group)
        encoded |= _encode(model, {"mismatched": pair(all_to_all(videos, negatives), texts)})

    found: dict[str, Tensor] = {}
    if model.pixel_decoder is not None:
        visible, masked = batch.video_mask.visible, batch.video_mask.masked
        predicted = model.pixel_decoder(encoded["joint"].tokens[:, : visible.shape[1]], visible, masked)
        found["mvm"] = masked_video_loss(predicted, pixel_targets(gather_rows(tubes, masked)))
    if objective.mlm:
        logits = model.predict_words(encoded["joint"], batch)
        found["mlm"] = masked_language_loss(logits, batch.text_mask.targets) * batch.word_weight
    if objective.vtc:
        found["vtc"] = contrastive_loss(video_features, text_features, temperature, group)
    if model.matching_head is not None:
        matched, mismatched = (model.matching_head(encoded[name].mean(pool)) for name in ("joint", "mismatched"))
        found["vtm"] = matching_loss(matched, mismatched)
    step = Step(config, model, batch, tubes, encoded)
    for name, (_, added) in active(config, "objective").items():
        found[name] = added.loss(model.added_head(name), step)
        if not isinstance(found[name], Tensor) or found[name].dim():
            given = getattr(found[name], "shape", type(found[name]).__name__)
            raise ConfigError(f"objective {name}: its loss is {given}; it must be a scalar tensor")
    return found


def _encode(model: SimVTPModel, passes: dict[str, Group]) -> dict[str, Group]:
    """All passes as one pass of the encoder, by the same names."""
    return dict(zip(passes, model.encode(list(passes.values())), strict=True))


def pair(videos: Tensor, texts: Group) -> Group:
    """Visible tubes [B, V, D] and captions [B, L, D] -> joint sequences [B, V + L, D]."""
    assert texts.present is not None
    tokens = torch.cat((videos, texts.tokens.to(videos.dtype)), dim=1)
    return Group(tokens, torch.cat((texts.present.new_ones(videos.shape[:2]), texts.present), dim=1))


def pixel_targets(tubes: Tensor) -> Tensor:
    """uint8 [B, M, P] -> float [B, M, P]: each tube with mean 0 and unbiased variance 1 in every colour channel.

    (x - mean) / (std + 1e-6), pixels x in [0, 1] (section 3.3, as in VideoMAE). One fused pass gives the biased
    normalisation, one in place corrects it: half the memory traffic of the formula as written.
    """
    pixels = tubes.unflatten(2, (3, -1)).float().mul_(1 / 255)
    count = pixels.shape[3]
    normed, _, reciprocal = torch.native_layer_norm(pixels, (count,), None, None, 1e-12)  # a flat tube gives zeros
    biased = reciprocal.reciprocal()
    return normed.mul_(biased / (biased * math.sqrt(count / (count - 1)) + 1e-6)).flatten(2)


def masked_video_loss(predicted: Tensor, targets: Tensor) -> Tensor:
    """MVM: mean squared error on masked tubes, both [B, M, P]; zero, with zero gradient, where none is masked."""
    if targets.numel() == 0:
        return predicted.sum() * 0.0
    return functional.mse_loss(predicted.float(), targets)


def masked_language_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """MLM: cross-entropy of [K, vocabulary] at masked words int64 [K]; zero, with zero gradient, where K is 0."""
    if targets.numel() == 0:
        return logits.sum() * 0.0
    return functional.cross_entropy(logits.float(), targets)


def contrastive_loss(videos: Tensor, texts: Tensor, temperature: float | Tensor, group: int = 0) -> Tensor:
    """VTC: InfoNCE over the batch, both directions summed, compared by cosine.

    videos, texts: float [B, D]; row i of one belongs to row i of the other. temperature: a number, or float [1].
    group: neighbouring rows that are contrasted with each other, a divisor of B; 0: all.
    """
    if group:
        parts = zip(videos.split(group), texts.split(group), strict=True)
        return torch.stack([contrastive_loss(*part, temperature) for part in parts]).mean()
    similarity = functional.normalize(videos.float()) @ functional.normalize(texts.float()).T / temperature
    own = torch.arange(len(similarity), device=similarity.device)
    return functional.cross_entropy(similarity, own) + functional.cross_entropy(similarity.T, own)


def matching_loss(matched: Tensor, mismatched: Tensor) -> Tensor:
    """VTM: two-way cross-entropy of logits [B, 2]: class 1 for pairs that belong together, 0 for mismatched ones."""
    logits = torch.cat((matched, mismatched)).float()
    labels = torch.arange(len(logits), device=logits.device) < len(matched)
    return functional.cross_entropy(logits, labels.long())


def draw_negatives(kind: str, batch: int, generator: torch.Generator, group: int = 0) -> Tensor:
    """What VTM draws for a batch before its forward, `MaskedBatch.negatives` [B].

    kind: objective.negatives. random: rows, int64. hard: random numbers in [0, 1), float, since the rows depend on
    features that the forward computes. group: as in `contrastive_loss`.
    """
    if kind == "random":
        return sample_negatives(batch, generator, group)
    return torch.rand(batch, generator=generator)


def sample_negatives(batch: int, generator: torch.Generator, group: int = 0) -> Tensor:
    """int64 [B]: for each row another one of its group (0: of the batch), uniformly; never itself."""
    group, rows = group or batch, torch.arange(batch)
    within = (rows % group + torch.randint(1, group, (batch,), generator=generator)) % group
    return rows - rows % group + within


def sample_hard_negatives(
    videos: Tensor, texts: Tensor, temperature: float | Tensor, uniform: Tensor, group: int = 0
) -> Tensor:
    """int64 [B], on the features' device: for each text another row's video, never its own.

    The more similar a video, the more often it is drawn (ALBEF, Li et al. 2021, section 3.2).

    videos, texts: features, float [B, D], compared by cosine.
    uniform: float [B] in [0, 1), the quantile of each text's distribution over videos that is drawn.
    group: neighbouring rows among which is drawn, a divisor of B; 0: all.
    """
    with torch.no_grad():
        cosine = functional.normalize(texts.float()) @ functional.normalize(videos.float()).T
        rows = torch.arange(len(cosine), device=cosine.device)
        groups = rows // (group or len(cosine))
        barred = (groups[:, None] != groups) | (rows[:, None] == rows)
        cumulated = (cosine / temperature).masked_fill(barred, -torch.inf).softmax(dim=1).double().cumsum(dim=1)
        quantiles = copy_to_device(uniform, cosine.device).unsqueeze(1) * cumulated[:, -1:]
        return torch.searchsorted(cumulated, quantiles, right=True).squeeze(1)
