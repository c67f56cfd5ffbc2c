"""`python benchmarks/model/evaluate.py`: what the evaluation costs, apart from decoding.

Ranking: seconds and memory for both directions of a gallery of random features with as many captions as videos, by
blocks and, where it fits, from the whole matrix; each in its own process. Encoding: videos and captions a second
through the two encoders of preset tiny.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch.nn import functional

from benchmarks.model.ceiling import fastest
from benchmarks.model.step import WORDS, config_of, make_batch
from benchmarks.report import markdown, print_environment
from simvtp.evaluation.metrics import feature_ranks, matrix_ranks, similarities
from simvtp.models.dual_encoder import make_dual_encoder
from simvtp.models.simvtp import SimVTPModel
from simvtp.runtime.seeding import generator
from simvtp.training.device import use_machine

WHOLE = 10_000  # the largest gallery whose matrix is held for comparison: 0.8 GB, and as much again beside it


def rank_gallery(way: str, size: int, width: int) -> dict[str, float]:
    """Seconds and GB beyond what the process had with the features."""
    random = generator("evaluate")
    videos, captions = (functional.normalize(torch.randn(size, width, generator=random)) for _ in range(2))
    owner = list(range(size))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    if way == "blocks":
        feature_ranks(videos, captions, owner)
    else:
        matrix_ranks(similarities(videos, captions), owner, block=size)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "GB": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024**2}


def ranking_rows(sizes: list[int], width: int) -> list[dict[str, str]]:
    rows = []
    for size in sizes:
        for way in ("blocks", "matrix") if size <= WHOLE else ("blocks",):
            words = [sys.executable, __file__, "--one", way, str(size), "--width", str(width)]
            done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
            cost = json.loads(done.stdout)
            rows.append({
                "gallery": f"{size:,} x {size:,}, width {width}", "by": way, "seconds": f"{cost['seconds']:.2f}",
                "GB more": f"{cost['GB']:.2f}", "GB of the matrix": f"{8 * size * size / 1e9:.2f}",
            })  # fmt: skip
    return rows


def encoding_rows() -> list[dict[str, str]]:
    """Videos and captions a second, nothing masked."""
    config = config_of("tiny", 128, [])
    use_machine(config.machine)
    known = WORDS[config.data.tokenizer]
    model, batch = make_dual_encoder(SimVTPModel(config, known.size), config).eval(), make_batch(config)
    with torch.inference_mode():
        videos = 128 / fastest(lambda: model.encode_video(batch.video), 3)
        captions = 128 / fastest(lambda: model.encode_text(batch.words, batch.words != known.pad), 3)
    return [{"preset": "tiny", "videos a second": f"{videos:.0f}", "captions a second": f"{captions:.0f}"}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--width", type=int, default=64, help="of the features (64, as in preset tiny)")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "SIZE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(rank_gallery(arguments.one[0], int(arguments.one[1]), arguments.width)))
        return
    print_environment()
    print(markdown(ranking_rows(arguments.sizes, arguments.width)), end="\n\n", flush=True)
    print(markdown(encoding_rows()))


if __name__ == "__main__":
    main()
