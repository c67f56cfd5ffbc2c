"""Memory of a process."""

from __future__ import annotations

import ctypes
import platform

# Names and numbers of glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
NEVER = 2**31 - 1


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
