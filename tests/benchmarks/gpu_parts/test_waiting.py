"""Whole steps of both stages: run everywhere, and without a wait for the device where there is a GPU."""

from pathlib import Path

import pytest
import torch

from benchmarks.gpu_parts.checks import full, rehearsal
from benchmarks.gpu_parts.waiting import STEPS, copies, no_waiting, waits_are_errors, whole_steps

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def test_whole_steps_of_both_stages_have_the_losses_of_fp32(tmp_path: Path) -> None:
    rows = list(whole_steps(rehearsal(str(tmp_path))))
    assert len(rows) == 2 * len(STEPS)
    assert {row["ok"] for row in rows} == {"yes"}, rows


@needs_gpu
def test_a_wait_is_noticed() -> None:
    with waits_are_errors(), pytest.raises(RuntimeError, match="synchronizing"):
        torch.ones(1, device="cuda").item()


@needs_gpu
def test_no_step_waits_for_the_gpu(tmp_path: Path) -> None:
    scale = full(str(tmp_path))
    rows = [*whole_steps(scale), *no_waiting(scale), *copies(scale)]
    assert {row["ok"] for row in rows} == {"yes"}, rows
