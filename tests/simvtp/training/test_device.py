"""Freed memory stays with the process, counted in page faults; attention of a GPU."""

import platform
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from simvtp.config.presets import preset
from simvtp.training import device

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


def test_attention_on_a_gpu_is_not_that_of_cudnn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(device, "keep_freed_memory", lambda: None)
    before = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        assert device.use_machine(replace(preset("base").machine, device="cpu")).type == "cpu"
        assert torch.backends.cuda.cudnn_sdp_enabled()
        assert device.use_machine(preset("base").machine).type == "cuda"
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
