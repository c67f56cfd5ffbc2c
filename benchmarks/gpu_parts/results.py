"""What a sweep has left in its results folder: rows for the report, and an archive to take along."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from statistics import mean

from benchmarks.gpu_parts.checks import Row

KEPT = (".json", ".jsonl", ".md", ".out")  # of the results folder, for the archive


def results_of(out: str) -> Path:
    return Path(out) / "results"


def rows_of(results: Path, note: str) -> list[Row]:
    """One row for each point of the sweeps in a results folder: R@1 and seconds, means over the seeds that are done."""
    rows = []
    for file in sorted(results.glob("sweeps/*/sweep.json")):
        record = json.loads(file.read_text())
        for number, point in enumerate(record["points"]):
            planned = [run["run"] for run in record["runs"] if run["point"] == number]
            done = [
                json.loads(path.read_text()) for run in planned for path in results.glob(f"runs/**/{run}/result.json")
            ]
            recalls = [result["metrics"]["test"]["text_to_video"]["R@1"] for result in done]
            costs = [[result["cost"][f"{stage}_seconds"] for stage in ("pretrain", "finetune", "evaluate")]
                     for result in done]  # fmt: skip
            times = " + ".join(f"{mean(column):.1f}" for column in zip(*costs, strict=True))
            rows.append({
                "point": point["label"], "seeds done": f"{len(done)} of {len(planned)}",
                "R@1": ", ".join(f"{value:.1f}" for value in recalls),
                "seconds: pre-training + fine-tuning + test": times, "sweep": note,
            })  # fmt: skip
    return rows or [{"point": "none", "seeds done": "0", "R@1": "", "seconds: pre-training + fine-tuning + test": "",
                     "sweep": note}]  # fmt: skip


def archive(results: Path, file: Path) -> None:
    """What of the results folder is text, without weights, checkpoints and the copy of the code."""
    if not results.exists():
        return
    with tarfile.open(file, "w:gz") as opened:
        for path in sorted(results.rglob("*")):
            inside = path.relative_to(results)
            if path.suffix in KEPT and path.is_file() and inside.parts[0] != "code":
                opened.add(path, Path("results") / inside)
