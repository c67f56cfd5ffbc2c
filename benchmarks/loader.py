"""How much of a training step waits for data: `python benchmarks/loader.py`.

Real steps of pre-training (forward and backward of the four losses) on batches of the real loader: `tiny` from the
cache of the embedded corpus, and `base` (4 clips a step, on this machine's CPU) from 320x240 H.264 files. The wait is
the time in which the step has no batch; the first batches, for which workers are started, are not counted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import report
from benchmarks.clips import clips
from simvtp.config import Config, override
from simvtp.objectives import Pretraining
from simvtp.presets import preset
from simvtp.pretrain import masked, train_loader
from simvtp.stages import starting_model, tokenizer_of, use_machine

CLIPS = 32


def row(name: str, config: Config, steps: int) -> dict[str, str]:
    device = use_machine(config.machine)
    tokenizer = tokenizer_of(config)
    model = starting_model(config, tokenizer).to(device)
    forward, batches = Pretraining(model, config), train_loader(config, tokenizer).batches(0)
    waits, totals = [], []
    for step in range(steps + 2):
        began = time.perf_counter()
        batch = next(batches)
        waited = time.perf_counter() - began
        losses = forward(masked(batch, config, tokenizer, step, device))
        torch.stack(list(losses.values())).sum().backward()
        model.zero_grad(set_to_none=True)
        if step >= 2:
            waits.append(waited)
            totals.append(time.perf_counter() - began)
    return {"preset": name, "clips a step": str(config.pretrain.batch), "workers": str(config.machine.workers),
            "step, s": f"{sum(totals) / steps:.2f}", "of it waiting, s": f"{sum(waits) / steps:.3f}",
            "share": f"{100 * sum(waits) / sum(totals):.1f}%"}  # fmt: skip


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    report.print_environment()
    tiny = preset("tiny")
    with tempfile.TemporaryDirectory() as folder:
        place = {"data.pretrain": f"csv:{clips(Path(folder), CLIPS)}", "data.tokenizer": "corpus", "pretrain.batch": 4}
        base = override(preset("base"), {**place, "pretrain.precision": "fp32"})
        found = [row("tiny", override(tiny, {"machine.workers": workers}), 30) for workers in (0, 2)]
        found += [row("base", override(base, {"machine.workers": workers}), 3) for workers in (0, 2)]
    print(report.markdown(found))


if __name__ == "__main__":
    main()
