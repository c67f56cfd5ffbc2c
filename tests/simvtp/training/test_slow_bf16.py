"""The warning of imitated bf16 products."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simvtp.config.presets import preset
from simvtp.training import device as devices
from simvtp.training.device import multiplies_bf16, warn_of_slow_bf16


@pytest.mark.parametrize(
    ("flags", "precision", "device", "said"),
    [
        ("avx512f", "bf16", "cpu", True),
        ("avx512f", "fp32", "cpu", False),
        ("avx512f", "bf16", "meta", False),
        ("avx512f avx512_bf16", "bf16", "cpu", False),
    ],
)
def test_imitated_bf16_is_announced(
    flags: str, precision: str, device: str, said: bool,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: {flags}\n")
    monkeypatch.setattr(devices, "PROCESSOR", tmp_path / "cpuinfo")
    stage = replace(preset("tiny").finetune, precision=precision)
    warn_of_slow_bf16("finetune", stage, torch.device(device))
    assert ("--set finetune.precision=fp32" in caplog.text) is said


@pytest.mark.parametrize(
    ("described", "listed"),
    [
        ("model name\t: Xeon\nflags\t\t: fpu avx512f avx512_vnni\nbugs\t\t: avx512_bf16\n", False),
        ("flags\t\t: fpu avx512f avx512_bf16 la57\n", True),
        ("flags\t\t: fpu amx_tile amx_bf16\n", True),
        ("Features\t: fp asimd bf16\n", True),
    ],
)
def test_bf16_is_known_by_the_processors_instructions(tmp_path: Path, described: str, listed: bool) -> None:
    (tmp_path / "cpuinfo").write_text(described)
    assert multiplies_bf16(tmp_path / "cpuinfo") is listed
    assert multiplies_bf16(tmp_path / "absent")
