"""`python benchmarks/step.py`: a step of pre-training against a plain one with the same losses.

Three steps for each preset: the release's design in fp32 (`benchmarks/plain.py`, PyTorch's default AdamW), ours in fp32
and ours in bf16; same weights, clips, captions and masks, no dropout. Each runs in a process of its own: median seconds
of --steps steps after one that is not counted, highest memory of the process, FLOP counted (`benchmarks/flop.py`), and
their share of the fastest matrix product measured in the same process. That the losses agree is checked, not printed.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor

from benchmarks.ceiling import ceiling
from benchmarks.flop import gflop
from benchmarks.plain import plain_losses
from benchmarks.report import markdown, print_environment
from simvtp.config import Config, override, parse_assignments
from simvtp.data.loading import Batch
from simvtp.model import SimVTP
from simvtp.objectives import Masked, Pretraining
from simvtp.presets import preset
from simvtp.pretrain import masked
from simvtp.randomness import generator
from simvtp.stages import use_machine
from simvtp.training import make_optimizer
from simvtp.wrapping import around

# data.tokenizer of the preset -> the ids that masks need, and how many words: BERT's, or those of the embedded corpus
WORDS = {
    "bert-base-uncased": SimpleNamespace(pad=0, cls=101, sep=102, mask=103, size=30522),
    "corpus": SimpleNamespace(pad=0, cls=2, sep=3, mask=4, size=129),
}
BATCHES = {"tiny": 64, "small": 32, "base": 4}
STEPS = ("plain fp32", "ours fp32", "ours bf16")
TOLERANCE = {"ours fp32": 1e-4, "ours bf16": 2e-2}  # of the plain losses


def config_of(name: str, batch: int, assignments: list[str]) -> Config:
    changes = {"pretrain.batch": batch, "model.dropout": 0.0}
    return override(preset(name), {**changes, **parse_assignments(assignments)})


def make_batch(config: Config) -> Batch:
    """Random pixels and words; captions of the longest length."""
    random, shape, known = generator("step"), config.model, WORDS[config.data.tokenizer]
    size = (config.pretrain.batch, shape.frames, shape.size, shape.size, 3)
    video = torch.randint(0, 256, size, generator=random, dtype=torch.uint8)
    words = torch.randint(known.mask + 2, known.size, (len(video), shape.words), generator=random)
    words[:, 0], words[:, -1] = known.cls, known.sep
    return Batch(video, words, words, [str(row) for row in range(len(video))])


def make_step(kind: str, config: Config) -> tuple[Callable[[], Tensor], Callable[[], dict[str, Tensor]]]:
    """The whole step, and its losses alone."""
    device = use_machine(config.machine) if kind.startswith("ours") else torch.device("cpu")
    if config.machine.threads:
        torch.set_num_threads(config.machine.threads)
    known = WORDS[config.data.tokenizer]
    model, batch = SimVTP(config, known.size).to(device).train(), make_batch(config)
    objective: Callable[[Masked], dict[str, Tensor]]
    if kind == "plain fp32":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        objective = lambda given: plain_losses(model, given, config)  # noqa: E731
    else:
        optimizer = make_optimizer(model, config.pretrain)
        objective = around(Pretraining(model, config), config.machine, device)

    def losses() -> dict[str, Tensor]:
        given = masked(batch, config, known, 0, device)  # type: ignore[arg-type]
        with torch.autocast(device.type, torch.bfloat16, enabled=kind.endswith("bf16")):
            return objective(given)

    def step() -> Tensor:
        loss = torch.stack(list(losses().values())).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    return step, losses


def measure(kind: str, config: Config, steps: int) -> dict[str, Any]:
    """Runs in a process of its own, since the highest memory of a process never falls."""
    step, losses = make_step(kind, config)
    with torch.no_grad():
        found = {name: float(value) for name, value in losses().items()}
    seconds = []
    for _ in range(steps + 1):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    best = ceiling(torch.bfloat16 if kind.endswith("bf16") else torch.float32)
    return {"seconds": statistics.median(seconds[1:]), "peak": peak, "gflop": gflop(step), "forward": gflop(losses),
            "ceiling": best, "losses": found}  # fmt: skip


def in_child(kind: str, arguments: argparse.Namespace, name: str, batch: int) -> dict[str, Any]:
    words = [sys.executable, __file__, "--one", kind, "--preset", name, "--batch", str(batch)]
    words += ["--steps", str(arguments.steps), *(f"--set={text}" for text in arguments.assignments)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def check_losses(found: dict[str, dict[str, Any]]) -> None:
    """Raise AssertionError where a loss is not the plain one to rounding."""
    for kind, tolerance in TOLERANCE.items():
        for name, wanted in found["plain fp32"]["losses"].items():
            given = found[kind]["losses"][name]
            assert abs(given - wanted) <= tolerance * abs(wanted), (kind, name, given, wanted)


def rows_of(name: str, batch: int, found: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    plain = found["plain fp32"]
    return [
        {
            "preset": f"{name}, batch {batch}",
            "step": kind,
            "seconds": f"{one['seconds']:.3g}",
            "against plain": f"{plain['seconds'] / one['seconds']:.2f}x",
            "peak GB": f"{one['peak'] / 1024:.2f}",
            "of plain's peak": f"{100 * one['peak'] / plain['peak']:.0f}%",
            "GFLOP a sample, forward": f"{one['forward'] / batch:.4g}",
            "GFLOP/s": f"{one['gflop'] / one['seconds']:.0f}",
            "of the ceiling": f"{100 * one['gflop'] / one['seconds'] / one['ceiling']:.0f}% of {one['ceiling']:.0f}",
        }
        for kind, one in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", action="append", dest="presets", help="again for more (tiny, base)")
    parser.add_argument("--batch", type=int, help="samples a step (tiny 64, small 32, base 4)")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each (5)")
    parser.add_argument("--set", action="append", default=[], dest="assignments", metavar="KEY=VALUE")
    parser.add_argument("--one", choices=STEPS, help="measure this step alone and print JSON")
    arguments = parser.parse_args()
    presets = arguments.presets or ["tiny", "base"]
    if arguments.one:
        config = config_of(presets[0], arguments.batch or BATCHES[presets[0]], arguments.assignments)
        print(json.dumps(measure(arguments.one, config, arguments.steps)))
        return
    print_environment()
    rows = []
    for name in presets:
        batch = arguments.batch or BATCHES[name]
        found = {kind: in_child(kind, arguments, name, batch) for kind in STEPS}
        check_losses(found)
        rows += rows_of(name, batch, found)
    print(markdown(rows))


if __name__ == "__main__":
    main()
