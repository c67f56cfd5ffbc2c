"""How much of a training step waits for data: `python benchmarks/data/loader.py`.

Real steps of pre-training (forward and backward of the four losses) on batches of the real loader: `tiny` from the
cache of the embedded corpus, and `base` (4 clips a step, on this machine's CPU) from 320x240 H.264 files. The wait is
the time in which the step has no batch; the first batches, for which workers are started, are not counted. Then as many
steps are made on the last batch, without a loader: the difference is the cost of prefetching.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import report
from benchmarks.data.clips import clips
from simvtp.config.presets import preset
from simvtp.config.schema import Config, override
from simvtp.data.from_config import build_train_loader, pretraining_corpus, tokenizer_of
from simvtp.data.train_loader import Batch
from simvtp.models.build import starting_model
from simvtp.models.objectives import Pretraining
from simvtp.pretrain import masked
from simvtp.training.device import use_machine

CLIPS = 32
STEPS = {"tiny": 30, "base": 3}


def row(name: str, config: Config, steps: int) -> dict[str, str]:
    device = use_machine(config.machine)
    torch.set_num_threads(config.machine.threads or len(os.sched_getaffinity(0)))  # not what the preset before it had
    tokenizer = tokenizer_of(config)
    model = starting_model(config, tokenizer).to(device)
    forward, batches = (
        Pretraining(model, config),
        build_train_loader(config, "pretrain", pretraining_corpus(config), tokenizer).batches(0),
    )

    def step(batch: Batch, number: int) -> None:
        losses = forward(masked(batch, config, tokenizer, number, device))
        torch.stack(list(losses.values())).sum().backward()
        model.zero_grad(set_to_none=True)

    waits, totals, alone = [], [], []
    for number in range(steps + 2):
        began = time.perf_counter()
        batch = next(batches)
        waited = time.perf_counter() - began
        step(batch, number)
        if number >= 2:
            waits.append(waited)
            totals.append(time.perf_counter() - began)
    del batches
    for number in range(steps):
        began = time.perf_counter()
        step(batch, number)
        alone.append(time.perf_counter() - began)
    return {
        "preset": name,
        "clips a step": str(config.pretrain.batch),
        "workers": str(config.machine.workers),
        "step, ms": f"{1000 * median(totals):.0f}",
        "of it waiting, ms": f"{1000 * median(waits):.2f}",
        "share": f"{100 * sum(waits) / sum(totals):.2f}%",
        "without a loader, ms": f"{1000 * median(alone):.0f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", action="append", dest="presets", choices=("tiny", "base"), help="(both)")
    presets = parser.parse_args().presets or ["tiny", "base"]
    report.print_environment()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for name in presets:
            corpus: dict[str, object] = {}
            if name == "base":
                corpus = {"data.pretrain": f"csv:{clips(Path(folder), CLIPS)}", "data.tokenizer": "corpus",
                         "pretrain.batch": 4, "pretrain.precision": "fp32"}  # fmt: skip
            config = override(preset(name), corpus)
            rows += [row(name, override(config, {"machine.workers": count}), STEPS[name]) for count in (0, 2)]
    print(report.markdown(rows))


if __name__ == "__main__":
    main()
