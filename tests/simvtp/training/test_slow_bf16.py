"""What both stages say before they begin."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simvtp.config.presets import preset
from simvtp.models import linear
from simvtp.training.device import warn_of_slow_bf16


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
    monkeypatch.setattr(linear, "PROCESSOR", tmp_path / "cpuinfo")
    stage = replace(preset("tiny").finetune, precision=precision)
    warn_of_slow_bf16("finetune", stage, torch.device(device))
    assert ("--set finetune.precision=fp32" in caplog.text) is said
