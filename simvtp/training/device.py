"""Memory of a process."""

from __future__ import annotations

import ctypes
import platform
import re
from pathlib import Path

import torch

from simvtp.config.schema import Machine, Optimisation
from simvtp.distributed.process_group import size, tell

# Names and numbers of glibc's malloc.h.
M_TRIM_THRESHOLD = -1


M_MMAP_THRESHOLD = -3


NEVER = 2**31 - 1
PROCESSOR = Path("/proc/cpuinfo")


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next step; without glibc, nothing happens.

    By default every large tensor is fresh memory of the kernel, zeroed page by page, and given back when it is freed:
    a seventh of a step of preset tiny. The process keeps its peak until it ends, which training holds anyway.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    malloc = ctypes.CDLL(None)
    malloc.mallopt(M_MMAP_THRESHOLD, 2**30)
    malloc.mallopt(M_TRIM_THRESHOLD, NEVER)


def use_machine(machine: Machine) -> torch.device:
    """Set memory and threads and give the device; raises RuntimeError where CUDA is asked for and absent."""
    keep_freed_memory()
    if machine.threads:
        torch.set_num_threads(machine.threads)
    if machine.device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("machine.device: cuda is asked for, but torch sees no GPU; use auto or cpu")
    cuda = machine.device == "cuda" or (machine.device == "auto" and torch.cuda.is_available())
    # of several processes, each has been given its own GPU when they joined
    if cuda and size() > 1:
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cuda" if cuda else "cpu")


def multiplies_bf16(cpuinfo: Path) -> bool:
    """Whether Linux's description of the processor lists bf16 products; True where it lists no instructions."""
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.is_file() else None
    return flags is None or not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags[1].split())


def warn_of_slow_bf16(name: str, stage: Optimisation, device: torch.device) -> None:
    """Say so where this processor has no products of bf16, which torch then imitates; results do not change by it."""
    if device.type == "cpu" and stage.precision == "bf16" and not multiplies_bf16(PROCESSOR):
        slow = "this processor has no products of bf16: a step was measured 3.6 times as long as in fp32"
        tell([f"{name}: {slow} (docs/performance.md); --set {name}.precision=fp32 is another run, and faster"])
