"""Learning-rate schedule and AdamW's groups."""

from __future__ import annotations

import math

import torch
from torch import nn

from simvtp.config.optimisation import Optimisation
from simvtp.runtime.timm_compat import param_groups_layer_decay


def learning_rate(step: int, steps: int, warmup: int, optimisation: Optimisation) -> float:
    """Rate of step `step` (from 0): linear warm-up from lr_start, then half a cosine to lr_end.

    lr and lr_end are for a batch of 256 and scale with the batch (Goyal et al. 2017); lr_start is not scaled.
    """
    scale = optimisation.batch / 256
    peak, end = optimisation.lr * scale, optimisation.lr_end * scale
    if step < warmup:
        return optimisation.lr_start + (peak - optimisation.lr_start) * step / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return end + (peak - end) * 0.5 * (1 + math.cos(math.pi * done))


def make_optimizer(model: nn.Module, optimisation: Optimisation) -> torch.optim.AdamW:
    """Fused AdamW; no decay on vectors (biases, norms) and what the model names; layer decay by timm's groups."""
    groups = param_groups_layer_decay(
        model,
        weight_decay=optimisation.weight_decay,
        no_weight_decay_list=model.no_weight_decay(),  # type: ignore[operator]
        layer_decay=optimisation.layer_decay,
    )
    betas = (optimisation.beta1, optimisation.beta2)
    return torch.optim.AdamW(groups, lr=optimisation.lr, betas=betas, fused=True)
