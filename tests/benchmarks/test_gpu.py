"""`make gpu`: bad input, and a rehearsal of a part."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import gpu
from benchmarks.gpu_parts.checks import read


def test_without_a_gpu_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "has_cuda", lambda: False)
    assert gpu.main(["--out", str(tmp_path / "out")]) == 2
    assert "--rehearse" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_wheels_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--rehearse", "--wheels", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "--collect-wheels" in capsys.readouterr().err


@pytest.mark.slow
def test_every_check_of_the_step_is_rehearsed(tmp_path: Path) -> None:
    """The whole rehearsal is `make gpu GPU_ARGS=--rehearse`."""
    assert gpu.main(["--rehearse", "--only", "step", "--minutes", "12", "--out", str(tmp_path)]) == 0
    states = {record["check"]: record["state"] for record in read(tmp_path / "records.jsonl") if "check" in record}
    assert len(states) == 13
    assert set(states.values()) == {"done"}
    assert (tmp_path / "report.md").read_text().startswith("# Rehearsal on a CPU")
