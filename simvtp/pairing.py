"""Which video stands beside which text: the true pairs, and the mismatched ones of video-text matching."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from simvtp.layers import Group


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
