"""The machine section of a config: devices, workers, caches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simvtp.config.fields import setting


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Settings of the machine; they change no result beyond rounding, so no id contains them."""

    device: Literal["auto", "cpu", "cuda"] = setting("auto (CUDA where there is one), cpu or cuda")
    threads: int = setting("CPU threads of a process; 0: torch's choice", within="[0, inf)")
    workers: int = setting("processes that decode and augment; 0: in the training process", within="[0, inf)")
    checkpoint_seconds: float = setting("longest time from one checkpoint to the next", within="(0, inf)")
    frame_cache: bool = setting("keep decoded frames of the embedded corpus in the cache folder")
    shard: bool = setting("share weights and optimiser out over the processes (FSDP), for models too large", False)
    checkpointing: bool = setting("recompute layers in the backward pass: less memory, a third more work", False)
    compile: bool = setting("torch.compile every layer", False)
    varlen_attention: bool = setting("encoders attend by Flash Attention's kernel for sequences of any length, without "
                                     "masks (a GPU and bf16)", False)  # fmt: skip
    stream: str = setting("folder on a fast disk to which data.order=shards copies shards ahead; empty: none", "")
    other_code: Literal["refuse", "reuse", "redo"] = setting(
        "results and checkpoints of other code: refuse, reuse or redo them", "refuse")  # fmt: skip
