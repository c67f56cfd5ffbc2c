"""Every random draw is a pure function of the run's seed and of what it is for.

No generator state is carried from step to step: a run that resumes at step k draws what an undisturbed one draws
there, and two points of a sweep that share a part (the encoder, say) start it from the same weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derived_seed(*names: int | str) -> int:
    """A 63-bit seed from a tuple such as (seed, "mask", step): equal tuples, equal seeds, on every machine."""
    digest = hashlib.blake2b("\0".join(map(str, names)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*names: int | str) -> torch.Generator:
    """A CPU generator seeded from the names."""
    return torch.Generator().manual_seed(derived_seed(*names))


@contextmanager
def seeded(*names: int | str) -> Iterator[None]:
    """Run a block with the global CPU generator seeded from the names, and restore it after."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(*names))
        yield
