"""Real clips from end to end: learn from the first half of each clip, find its second half by the caption.

`python benchmarks/data/real_clips.py CLIPS --vocabulary vocab.txt`: CLIPS holds captions.csv (video, caption), first/
and second/. Pre-trains and fine-tunes on the first halves, retrieves among the second halves, and compares R@1 with
chance, with fine-tuning alone, and with a baseline that learns nothing: it takes the second half whose mean frame has
the nearest pixels to that of the caption's own first half.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from simvtp.config.experiment import Experiment
from simvtp.config.formats import parse_assignments
from simvtp.config.presets import preset
from simvtp.config.schema import Config, override
from simvtp.data.corpora.registry import load
from simvtp.data.from_config import frame_sampling
from simvtp.data.gallery_loader import GalleryLoader
from simvtp.data.resolve import resolved
from simvtp.data.tokenizer import load_tokenizer
from simvtp.evaluation.metrics import matrix_ranks, metrics
from simvtp.run import run

SETTINGS = {
    "model.size": 96, "model.patch": 16, "model.words": 32, "data.stride": 2, "evaluate.segments": 2,
    "mask.video": 0.75, "mask.text": 0.5, "pretrain.length": "200 steps", "pretrain.warmup": "20 steps",
    "pretrain.crop": "multiscale", "finetune.length": "100 epochs", "finetune.warmup": "10 epochs",
    "finetune.crop": "resized", "evaluate.every": 20, "machine.frame_cache": False,
}  # fmt: skip


def prepare(clips: Path, folder: Path) -> Path:
    """A list of the halves: train: first, test: second, and val: copies of first, since no third part is left."""
    table = folder / "clips.csv"
    with (clips / "captions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for part in ("first", "second"):
        shutil.copytree(clips / part, folder / part, dirs_exist_ok=True)
    shutil.copytree(clips / "first", folder / "again", dirs_exist_ok=True)
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("video", "caption", "split"))
        for part, split in (("first", "train"), ("again", "val"), ("second", "test")):
            writer.writerows((f"{part}/{Path(row['video']).name}", row["caption"], split) for row in rows)
    return table


def mean_frames(config: Config, split: str) -> npt.NDArray[np.float64]:
    """The mean over frames of every video of a split, [videos, H, W, 3]."""
    tokenizer = load_tokenizer(config.data.tokenizer, config.data.pretrain)
    loader = GalleryLoader(
        load(config.data.finetune, split), tokenizer, sampling=frame_sampling(config, "finetune"),
        size=config.model.size, segments=1, crops=1, batch=16, words=config.model.words, workers=0, cache=False,
    )  # fmt: skip
    return np.concatenate([batch.double().mean(dim=(1, 2)).numpy() for batch in loader.videos()])


def nearest_pixels(config: Config) -> dict[str, float]:
    """Retrieval metrics of second halves by the pixels of first halves."""
    first, second = (mean_frames(config, split).reshape(-1, config.model.size**2 * 3) for split in ("val", "test"))
    distance = ((first[:, None] - second[None]) ** 2).mean(axis=2)
    return metrics(matrix_ranks(-distance, range(len(first)))[0], len(second))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--vocabulary", type=Path, required=True, help="vocab.txt of a WordPiece tokenizer")
    parser.add_argument("--results", type=Path, default=Path("results/real-clips"))
    parser.add_argument("--set", action="append", default=[], dest="assignments", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    arguments.results.mkdir(parents=True, exist_ok=True)
    table = prepare(arguments.clips, arguments.results)
    corpus = {"data.pretrain": f"csv:{table}", "data.finetune": f"csv:{table}", "data.tokenizer": arguments.vocabulary}
    config = override(preset("tiny"), SETTINGS | corpus | parse_assignments(arguments.assignments))
    rows = {"nearest pixels": nearest_pixels(config)}
    for name, made in (("SimVTP", config), ("no pre-training", override(config, {"pretrain.length": "0 steps"}))):
        result = json.loads(run(Experiment(resolved(made), "tiny", arguments.results)).read_text())
        rows[name] = result["metrics"]["test"]["text_to_video"]
    print("| | R@1 | R@5 | R@10 | MdR |\n|---|---|---|---|---|")
    count = int(rows["SimVTP"]["gallery"])
    chance = "".join(f" {100 * k / count:.1f} |" for k in (1, 5, 10))
    print(f"| chance ({count} clips) |{chance} {(count + 1) / 2:.0f} |")
    for name, scores in rows.items():
        print(f"| {name} | " + " | ".join(f"{scores[key]:.1f}" for key in ("R@1", "R@5", "R@10", "MdR")) + " |")


if __name__ == "__main__":
    main()
