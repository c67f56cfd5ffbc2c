"""Makes results folders as sweeps and runs write them, from assumed R@1 levels: for tests, and for looking."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simvtp.config.presets import preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import flatten, override

QUERIES = 400
Change = Callable[[dict[str, Any]], object]
Points = list[tuple[str, dict[str, Any], float]]  # label, settings, expected R@1
MASK_RATIO: Points = [
    ("video 50%", {"mask.video": 0.5}, 22.0), ("video 75%", {"mask.video": 0.75}, 23.0), ("base", {}, 20.0),
    ("video 95%", {"mask.video": 0.95}, 12.0), ("text 15%", {"mask.text": 0.15}, 19.0),
    ("text 50%", {"mask.text": 0.5}, 18.5), ("text 90%", {"mask.text": 0.9}, 20.5),
]  # fmt: skip
OBJECTIVES: Points = [
    ("no pre-training", {"pretrain.length": "0 steps"}, 6.0),
    ("MVM+MLM", {"objective.vtc": 0.0, "objective.vtm": 0.0}, 7.0),
    ("+VTC", {"objective.vtm": 0.0}, 18.5), ("+VTM", {"objective.vtc": 0.0}, 5.5), ("+VTC+VTM", {}, 20.0),
]  # fmt: skip
DATA_FRACTION: Points = [("10%", {"data.fraction": 0.1}, 13.0), ("25%", {"data.fraction": 0.25}, 15.0),
                 ("50%", {"data.fraction": 0.5}, 18.0), ("100%", {}, 20.0)]  # fmt: skip
MASK_GRID: Points = [
    (f"video {v:.0%}, text {t:.0%}", ({"mask.video": v} if v != 0.9 else {}) | ({"mask.text": t} if t != 0.75 else {}),
     24 - 40 * abs(v - 0.75) - 6 * abs(t - 0.5))
    for v in (0.5, 0.75, 0.9, 0.95) for t in (0.15, 0.5, 0.75, 0.9)
]  # fmt: skip
MASK_RATIO_COMPUTE: Points = [
    ("base", {}, 20.0), ("video 50%", {"mask.video": 0.5, "pretrain.length": "266 steps"}, 15.0),
    ("video 95%", {"mask.video": 0.95, "pretrain.length": "420 steps"}, 13.0),
]  # fmt: skip
SHARE: dict[str, Any] = {"data.pretrain": "sprites:tiny?share=0.7", "data.finetune": "sprites:tiny?share=0.7"}
VIDEO_REDUNDANCY: Points = [
    ("base", {}, 60.0), ("video 50%", {"mask.video": 0.5}, 70.0), ("video 75%", {"mask.video": 0.75}, 66.0),
    ("share 0.7", SHARE, 40.0), ("share 0.7, video 50%", SHARE | {"mask.video": 0.5}, 40.0),
    ("share 0.7, video 75%", SHARE | {"mask.video": 0.75}, 20.0),
]  # fmt: skip
CLAIMS: Points = [
    ("base", {}, 60.0), ("video 50%", {"mask.video": 0.5}, 60.0), ("video 75%", {"mask.video": 0.75}, 40.0),
    ("text 15%", {"mask.text": 0.15}, 75.0), ("text 50%", {"mask.text": 0.5}, 40.0),
    ("no VTM", {"objective.vtm": 0.0}, 60.0), ("no VTC", {"objective.vtc": 0.0}, 40.0),
    ("no VTC, no VTM", {"objective.vtc": 0.0, "objective.vtm": 0.0}, 30.0),
    ("data 10%", {"data.fraction": 0.1}, 61.0), ("no pre-training", {"pretrain.length": "0 steps"}, 20.0),
    ("video 50%, equal compute", {"mask.video": 0.5, "pretrain.length": "400 steps"}, 40.0),
    ("video 75%, equal compute", {"mask.video": 0.75, "pretrain.length": "600 steps"}, 40.0),
    ("no pre-training, equal compute", {"pretrain.length": "0 steps", "finetune.length": "900 steps"}, 80.0),
    ("data 10%, equal epochs", {"data.fraction": 0.1, "pretrain.length": "80 steps"}, 30.0),
]  # fmt: skip
AXES = {
    "claims": [
        "mask.video",
        "mask.text",
        "objective.vtc",
        "objective.vtm",
        "data.fraction",
        "pretrain.length",
        "finetune.length",
    ],
    "video_redundancy": ["data.finetune", "mask.video"],
    "mask_ratio_compute": ["mask.video"],
    "mask_ratio": ["mask.video", "mask.text"],
    "mask_grid": ["mask.video", "mask.text"],
    "data_fraction": ["data.fraction"],
    "objectives": ["objective.vtc", "objective.vtm", "pretrain.length"],
}
SWEEPS: dict[str, Points] = {
    "mask_ratio": MASK_RATIO,
    "objectives": OBJECTIVES,
    "data_fraction": DATA_FRACTION,
    "mask_grid": MASK_GRID,
    "mask_ratio_compute": MASK_RATIO_COMPUTE,
    "video_redundancy": VIDEO_REDUNDANCY,
    "claims": CLAIMS,
}


@dataclass
class Builder:
    """Writes into `folder`; every run's ranks depend on its id alone, so shared runs are the same in all sweeps.

    changes: settings of all runs beside the preset's. videos: of the whole pre-training corpus; 0: not recorded.
    """

    folder: Path
    preset: str = "tiny"
    deviation: float = 2.0
    queries: int = QUERIES
    logs: bool = False
    changes: dict[str, Any] = field(default_factory=dict)
    videos: int = 0
    written: dict[str, Path] = field(default_factory=dict)

    def sweep(self, name: str, seeds: Sequence[int] = (0,), unfinished: Sequence[tuple[int, int]] = ()) -> Path:
        """sweeps/<name>-<preset>/sweep.json and its runs, without results for the (point, seed) in `unfinished`."""
        base = override(preset(self.preset), self.changes)
        points, runs = [], []
        for index, (label, changes, level) in enumerate(SWEEPS[name]):
            points.append({"label": label, "set": changes, "base": not changes})
            for seed in seeds:
                config = override(base, {**changes, "seed": seed})
                runs.append({"point": index, "seed": seed, "run": run_id(config)})
                if (index, seed) not in unfinished:
                    self.run(flatten(config), level)
        flat = flatten(base)
        del flat["seed"]
        content = {"version": 1, "name": name, "preset": self.preset, "title": name.replace("_", " "),
                   "command": f"python sweeps/run.py {name} --preset {self.preset}", "axes": AXES[name], "base": flat,
                   "points": points, "seeds": list(seeds), "runs": runs}  # fmt: skip
        return write(self.folder / "sweeps" / f"{name}-{self.preset}" / "sweep.json", content)

    def run(self, flat: Mapping[str, Any], level: float) -> Path:
        """runs/<id>/result.json of a run whose expected R@1 is `level` percent."""
        config = override(preset(self.preset), {k: v for k, v in flat.items() if not isinstance(v, dict)})
        name, stage = run_id(config), pretrain_id(config)
        random = np.random.default_rng(int(name, 16))
        level = max(0.5, level + self.deviation * random.standard_normal())
        ease = np.random.default_rng(7).standard_normal(self.queries)  # of a query: the same in all runs
        ranks = {way: _ranks(level, ease, random) for way in ("text_to_video", "video_to_text")}
        seen = {way: _ranks(level * 1.3, ease, random) for way in ranks}
        metrics = {"test": ranks, "test_last_epoch": ranks, "test_seen": seen, "validation": seen}
        seconds = 50 * (1 - config.mask.video) * 5 + 20 if stage else 0.0
        result: dict[str, Any] = {
            "version": 1, "run": name, "pretrain": stage, "preset": self.preset, "config": flatten(config),
            "metrics": {split: {way: metrics_of(r) for way, r in both.items()} for split, both in metrics.items()},
            "controls": {}, "epoch": 8, "epochs": 12,
            "ranks": {"test": {way: r.tolist() for way, r in ranks.items()}},
            "losses": {"mvm": 0.9, "mlm": 1.5} if stage else {},
            "cost": {"pretrain_seconds": seconds, "finetune_seconds": 20.0, "evaluate_seconds": 2.0,
                     "pretrain_steps": 800, "pretrain_gflop": 1.0, "device": "cpu", "devices": 1},
            "corpus": {"pretrain": f"p{config.data.fraction}" if stage else None, "finetune": config.data.finetune,
                       "test": config.data.finetune},
            "finished": "2026-11-23T12:00:00Z",
        }  # fmt: skip
        if self.videos and stage:
            result["corpus"]["pretrain_videos"] = int(self.videos * config.data.fraction)
        if self.logs:
            self._log(name, stage, level, random)
        self.written[name] = write(self.folder / "runs" / name / "result.json", result)
        return self.written[name]

    def _log(self, name: str, stage: str | None, level: float, random: np.random.Generator) -> None:
        finetune = [
            {
                "time": 0.0,
                "stage": "finetune",
                "step": s,
                "steps": 90,
                "epoch": s / 8,
                "loss": 3 * np.exp(-s / 40) + 0.2,
            }
            for s in range(0, 90, 5)
        ]
        checks = [{"time": 0.0, "stage": "validation", "step": e * 8, "epoch": e, "R@1": level * (1 - 0.6**e)}
                  for e in range(2, 13, 2)]  # fmt: skip
        write_lines(self.folder / "runs" / name / "log.jsonl", finetune + checks)
        if stage:
            lines = []
            for step in range(0, 800, 10):
                curves = (("mvm", 0.4, 0.6), ("mlm", 3.0, 1.0), ("vtc", 5.0, 3.0), ("vtm", 0.3, 0.4))
                noise = 0.05 * random.standard_normal(4)
                parts = {k: a * np.exp(-step / 300) + b + e for (k, a, b), e in zip(curves, noise, strict=True)}
                lines.append({"time": 0.0, "stage": "pretrain", "step": step, "steps": 800, "epoch": step / 117,
                              "loss": sum(parts.values()), **parts})  # fmt: skip
            write_lines(self.folder / "pretrained" / stage / "log.jsonl", lines)


def _ranks(level: float, ease: np.ndarray, random: np.random.Generator) -> np.ndarray:
    score = ease + 1.2 * random.standard_normal(len(ease))
    score = score - np.quantile(score, 1 - min(level, 99) / 100)
    ranks = np.where(score >= 0, 1, np.ceil(1 + len(ease) * (1 - np.exp(score * 0.05))))
    return np.clip(ranks, 1, len(ease)).astype(float)


def metrics_of(ranks: np.ndarray) -> dict[str, float]:
    recalls = {f"R@{k}": 100 * float((ranks <= k).mean()) for k in (1, 5, 10)}
    return recalls | {"MdR": float(np.median(ranks)), "MnR": float(ranks.mean()), "queries": len(ranks),
                    "gallery": len(ranks)}  # fmt: skip


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def edit(path: Path, change: Change) -> None:
    """Let `change` alter the content of a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    write(path, content)


def write_lines(path: Path, lines: Sequence[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
