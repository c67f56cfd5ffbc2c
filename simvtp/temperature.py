"""The temperature of the contrast where it is learned (CLIP, Radford et al. 2021, section 2.5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

SHARPEST = 100.0  # CLIP's limit of the inverse


class Temperature(nn.Module):
    """The logarithm of the inverse temperature as the one parameter; it never falls below 1/100."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.log_inverse = nn.Parameter(torch.tensor([math.log(1 / start)]))  # [1]: FSDP takes no scalar

    def forward(self) -> Tensor:
        """float [1]."""
        return self.log_inverse.clamp(max=math.log(SHARPEST)).neg().exp()
