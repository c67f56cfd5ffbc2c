"""`python benchmarks/analysis.py`: how long the commands of analysis/ take on a folder of 10,000 results.

Writes the folder (ten sweeps of 100 points and 10 seeds; results of the size that preset tiny gives: ranks of 800 test
queries and 500 of seen combinations, both ways; about 300 MB) into --folder or a temporary one, and prints seconds by
step, each in a fresh process as a user would start it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import markdown, print_environment  # noqa: E402
from simvtp.config.presets import preset  # noqa: E402
from simvtp.config.run_id import pretrain_id, run_id  # noqa: E402
from simvtp.config.schema import Config, flatten, override  # noqa: E402

POINTS, SEEDS = 100, 10
WAYS = ("text_to_video", "video_to_text")
SIZES = {"test": 800, "test_seen": 500}
STEPS = {
    "read all results": ["-c", "import sys, pathlib, analysis.runs.load as r; r.load(pathlib.Path(sys.argv[1]))"],
    "tables of all sweeps": ["analysis/table.py"],
    "one figure": ["analysis/plot.py", "--only", "bench0-tiny", "--format", "png"],
    "report of one sweep": ["analysis/report.py", "--only", "bench0-tiny"],
}


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def metrics_of(ranks: list[float]) -> dict[str, float]:
    values = np.array(ranks)
    recalls = {f"R@{k}": 100 * float((values <= k).mean()) for k in (1, 5, 10)}
    return recalls | {"MdR": float(np.median(values)), "MnR": float(values.mean()), "queries": len(ranks),
                    "gallery": len(ranks)}  # fmt: skip


def result(config: Config, random: np.random.Generator) -> dict[str, Any]:
    """A result.json with random ranks."""
    ranks = {split: {way: np.ceil(random.exponential(8, size)).tolist() for way in WAYS}
             for split, size in SIZES.items()}  # fmt: skip
    scores = {split: {way: metrics_of(values) for way, values in ways.items()} for split, ways in ranks.items()}
    return {
        "version": 1, "run": run_id(config), "pretrain": pretrain_id(config), "preset": "tiny",
        "config": flatten(config), "epoch": 12.0, "epochs": 12.0, "losses": {"mvm": 1.0, "mlm": 2.0},
        "cost": {"pretrain_seconds": 100.0, "pretrain_steps": 400, "pretrain_gflop": 2753.1, "finetune_seconds": 29.0,
                 "device": "cpu", "devices": 1, "evaluate_seconds": 6.0},
        "corpus": {"pretrain": "a", "pretrain_videos": 3721, "finetune": "b", "test": "c"},
        "finished": "2026-11-23T14:53:52+00:00",
        "metrics": {**scores, "test_last_epoch": scores["test"], "validation": scores["test"]},
        "controls": {"frozen_frames": scores["test"], "shuffled_frames": scores["test"]}, "ranks": ranks,
    }  # fmt: skip


def fill(folder: Path, sweeps: int) -> None:
    """Sweeps bench0-tiny and so on: points are learning rates, sweeps weight decays."""
    random = np.random.default_rng(0)
    for number in range(sweeps):
        base = override(preset("tiny"), {"pretrain.weight_decay": 0.001 * (number + 1)})
        points, runs = [], []
        for point in range(POINTS):
            setting = {"pretrain.lr": 1e-4 * point} if point else {}
            points.append({"label": f"rate {point}" if point else "base", "set": setting, "base": not point})
            for seed in range(SEEDS):
                config = override(base, {**setting, "seed": seed})
                runs.append({"point": point, "seed": seed, "run": run_id(config)})
                write(folder / "runs" / run_id(config) / "result.json", result(config, random))
        flat = {key: value for key, value in flatten(base).items() if key != "seed"}
        write(folder / "sweeps" / f"bench{number}-tiny" / "sweep.json", {
            "version": 1, "name": f"bench{number}", "preset": "tiny", "title": f"Sweep {number}",
            "command": f"python sweeps/run.py bench{number}", "axes": ["pretrain.lr"], "base": flat, "points": points,
            "seeds": list(range(SEEDS)), "runs": runs,
        })  # fmt: skip


def processor_seconds() -> float:
    """Of all children so far; unlike the clock, it does not depend on other load."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=10_000, help="how many results (10000)")
    parser.add_argument("--folder", type=Path, help="write them there and keep them; used as it is if it is there")
    arguments = parser.parse_args()
    print_environment()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "results"
        if not folder.exists():
            start = time.perf_counter()
            fill(folder, max(1, arguments.results // (POINTS * SEEDS)))
            print(f"written in {time.perf_counter() - start:.1f} s")
        count = len(list(folder.glob("runs/*/result.json")))
        rows = []
        for name, words in STEPS.items():
            start, before = time.perf_counter(), processor_seconds()
            command = [sys.executable, *words[:2], str(folder), *words[2:]] if words[0] == "-c" else [
                sys.executable, words[0], str(folder), *words[1:]]  # fmt: skip
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            took, computed = time.perf_counter() - start, processor_seconds() - before
            rows.append({"step": name, "results": f"{count:,}", "seconds": f"{took:.1f}",
                         "seconds of processors": f"{computed:.1f}"})  # fmt: skip
        print(markdown(rows))


if __name__ == "__main__":
    main()
