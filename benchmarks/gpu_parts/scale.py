"""Sizes of everything `make gpu` measures: on a card, and rehearsed on one CPU core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CORPUS = (
    "sprites:tiny?clips=128&finetune=32&validation=24&test=24&test_seen=16&pretrain_validation=8"  # rendered in seconds
)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """device: cuda or cpu. out: folder of the whole run, for files that a part leaves there. tiny, base, small:
    changes to these presets. batch: of tiny in correctness checks; base_batch: of base there; step_batch: of the timed
    base steps; largest_batch: where doubling ends. seconds: of each timing. sides: of the square matrix products whose
    best rate is the ceiling. clips, workers: of the loader; compiler: backend of
    torch.compile; seeds, pack: of the sweep."""

    device: str
    out: str
    tiny: Mapping[str, Any] = field(default_factory=dict)
    base: Mapping[str, Any] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 16
    base_batch: int = 2
    step_batch: int = 64
    largest_batch: int = 4096
    seconds: float = 1.0
    sides: tuple[int, ...] = (4096, 8192)
    clips: int = 256
    workers: tuple[int, ...] = (8, 16)
    compiler: str = "inductor"
    seeds: str = "0,1,2"
    pack: int = 4


def full(out: str) -> Scale:
    """For one GPU of 40 GB or more."""
    return Scale(device="cuda", out=out)


def rehearsal(out: str) -> Scale:
    """All parts in minutes on one CPU core; its figures mean nothing."""
    model = {
        "model.frames": 8, "model.size": 32, "model.patch": 8, "model.width": 32, "model.depth": 2, "model.heads": 2,
        "model.decoder_width": 16, "model.decoder_depth": 1, "model.decoder_heads": 2,
    }  # fmt: skip
    sweep = {
        **model, "data.pretrain": CORPUS, "data.finetune": CORPUS,
        "pretrain.length": "4 steps", "pretrain.warmup": "1 steps", "pretrain.batch": 4, "pretrain.precision": "fp32",
        "finetune.length": "2 steps", "finetune.warmup": "1 steps", "finetune.batch": 4, "finetune.precision": "fp32",
        "machine.workers": 0, "machine.threads": 1, "machine.frame_cache": True,
    }  # fmt: skip
    return Scale(
        device="cpu", out=out, tiny=model, base=model, small=sweep, batch=4, base_batch=2, step_batch=4,
        largest_batch=8, seconds=0.05, sides=(128, 256), clips=8, workers=(0, 2),
        compiler="aot_eager", seeds="0", pack=2,
    )  # fmt: skip
