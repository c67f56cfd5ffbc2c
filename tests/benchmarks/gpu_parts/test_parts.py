"""The page made of the records, and what is taken along of a sweep."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from benchmarks.gpu_parts.parts import archive, page, rows_of

MACHINE = {"gpu": "NVIDIA H100", "torch": "2.11"}


def test_every_check_has_its_table_or_what_became_of_it() -> None:
    records: list[dict[str, Any]] = [
        {"part": "step", "environment": MACHINE, "checks": ["ceiling", "eager", "graph"]},
        {"part": "step", "check": "ceiling", "state": "started", "limit": 9},
        {"part": "step", "check": "ceiling", "state": "done", "rows": [{"precision": "bf16"}], "seconds": 1.25},
        {"part": "step", "check": "eager", "state": "started", "limit": 9},
        {"part": "step", "check": "eager", "state": "killed", "error": "not done after 9 s"},
    ]
    text = page(records, "Title")
    assert text.startswith("# Title\n\nGPU: NVIDIA H100\n")
    assert "### ceiling (1.2 s)\n\n| precision |\n| --- |\n| bf16 |" in text
    assert "### eager\n\nkilled: not done after 9 s" in text
    assert "### graph\n\nskipped: no time was left" in text
    assert "| A step of preset base | 1 | 0 | 1 | 0 | 1 |" in text


def test_what_is_not_ok_is_listed() -> None:
    rows = [{"option": "a", "ok": "yes"}, {"option": "b", "ok": "no"}]
    text = page([{"part": "correctness", "check": "c", "state": "done", "rows": rows, "seconds": 1.0}], "T")
    assert "- correctness, c: b, no" in text
    assert "c: a" not in text
    assert "What is wrong" not in page([], "T")


def test_rows_and_archive_of_a_sweep(tmp_path: Path) -> None:
    results = tmp_path / "results"
    sweep = {
        "points": [{"label": "base"}, {"label": "video 75%"}],
        "runs": [{"point": 0, "seed": 0, "run": "r0"}, {"point": 0, "seed": 1, "run": "r1"},
                 {"point": 1, "seed": 0, "run": "r2"}],
    }  # fmt: skip
    result = {
        "metrics": {"test": {"text_to_video": {"R@1": 12.5}}},
        "cost": {"pretrain_seconds": 2.0, "finetune_seconds": 1.0, "evaluate_seconds": 0.5},
    }
    for name, content in (("sweeps/claims-small/sweep.json", sweep), ("runs/r0/result.json", result)):
        (results / name).parent.mkdir(parents=True)
        (results / name).write_text(json.dumps(content))
    (results / "runs/r0/finetuned.safetensors").write_bytes(b"weights")
    assert [list(row.values()) for row in rows_of(results, "stopped")] == [
        ["base", "1 of 2", "12.5", "2.0 + 1.0 + 0.5", "stopped"],
        ["video 75%", "0 of 1", "", "", "stopped"],
    ]
    archive(results, tmp_path / "results.tar.gz")
    with tarfile.open(tmp_path / "results.tar.gz") as opened:
        assert opened.getnames() == ["results/runs/r0/result.json", "results/sweeps/claims-small/sweep.json"]
