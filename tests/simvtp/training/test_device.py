"""Freed memory stays with the process, counted in page faults."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from simvtp.training.device import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for step in range(30):
    if step == 25:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [torch.ones(12_000_000) for _ in range(3)]
    del parts
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_later_steps_take_no_new_memory() -> None:
    assert faults("keep") < 100
    assert faults("plain") > 10_000
