"""The device, threads and memory of a training process."""

from __future__ import annotations

import ctypes
import logging
import platform
import re
from pathlib import Path

import torch

from simvtp.config.machine import Machine
from simvtp.config.optimisation import Optimisation
from simvtp.distributed.process_group import size
from simvtp.errors import ConfigError

log = logging.getLogger(__name__)

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
NEVER = 2**31 - 1
PROCESSOR = Path("/proc/cpuinfo")


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next step; without glibc, nothing happens.

    By default the kernel allocates and zeroes the memory of every large tensor anew, and gets it back when the tensor
    is freed, which costs a seventh of a step of preset tiny. The process keeps its peak memory until it ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    malloc = ctypes.CDLL(None)
    malloc.mallopt(M_MMAP_THRESHOLD, 2**30)
    malloc.mallopt(M_TRIM_THRESHOLD, NEVER)


def use_machine(machine: Machine) -> torch.device:
    """Set malloc, threads and attention of this process as `machine` says, and return the device to train on.

    Of several processes, each has its own GPU. Attention on a GPU is not computed by cuDNN, torch's first choice on
    Hopper: it prepares every new shape, such as a longer caption, for up to a second
    (https://github.com/modelscope/FunASR/issues/3704). Raises ConfigError where machine.device is cuda and torch sees
    no GPU.
    """
    keep_freed_memory()
    if machine.threads:
        torch.set_num_threads(machine.threads)
    if machine.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("machine.device: cuda is asked for, but torch sees no GPU; use auto or cpu")
    cuda = machine.device == "cuda" or (machine.device == "auto" and torch.cuda.is_available())
    if cuda:
        torch.backends.cuda.enable_cudnn_sdp(False)
    if cuda and size() > 1:
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cuda" if cuda else "cpu")


def multiplies_bf16(cpuinfo: Path) -> bool:
    """Whether Linux's description of the processor lists bf16 products; True where it lists no instructions."""
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.is_file() else None
    return flags is None or not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags[1].split())


def warn_of_slow_bf16(name: str, stage: Optimisation, device: torch.device) -> None:
    """Log that this processor has no bf16 matrix products, where stage `name` uses them: torch emulates them slowly."""
    if device.type == "cpu" and stage.precision != "fp32" and not multiplies_bf16(PROCESSOR):
        slow = "this processor has no bf16 matrix products: a step was measured 3.6 times as long as in fp32"
        log.info("%s: %s (docs/performance.md); --set %s.precision=fp32 is another run, and faster", name, slow, name)
