"""`python benchmarks/model/step.py`: a step of pre-training against a plain one with the same losses.

Four steps for each preset: the release's design in fp32 (`benchmarks/model/plain.py`, PyTorch's default AdamW), ours in
fp32, ours in fp32 with `machine.checkpointing`, and ours in bf16; same weights, clips, captions and masks, no dropout.
Each runs in its own process, and they take turns. Printed are medians over --steps turns of the seconds and of the
ratio to the plain step of the same turn; highest memory of the process; FLOP (`benchmarks/model/ceiling.py`), and their
rate as a share of the fastest matrix product that the same process measures. `of its own shapes` is the least time of
the step's products, each alone (same file), as a share of the step. The losses are checked to agree.
Three steps before the timed ones are not counted: in them a process takes its memory from the system.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor

from benchmarks.model.ceiling import ceiling, gflop, seconds_of_products
from benchmarks.model.plain import plain_losses
from benchmarks.report import markdown, print_environment
from simvtp.config.formats import parse_assignments
from simvtp.config.presets import preset
from simvtp.config.schema import Config, override
from simvtp.data.train_loader import Batch
from simvtp.distributed.process_group import decide, joined, rank, rows_of
from simvtp.models.masking import MaskedBatch
from simvtp.models.objectives import Pretraining
from simvtp.models.simvtp import SimVTPModel
from simvtp.pretrain import masked
from simvtp.runtime.seeding import generator
from simvtp.training.device import use_machine
from simvtp.training.optimizer import make_optimizer
from simvtp.training.parallelize import wrap_model

# data.tokenizer of the preset -> the ids that masks need, and how many words: BERT's, or those of the embedded corpus
WORDS = {
    "bert-base-uncased": SimpleNamespace(pad=0, cls=101, sep=102, mask=103, size=30522),
    "corpus": SimpleNamespace(pad=0, cls=2, sep=3, mask=4, size=129),
}
AT_LEAST = 0.5  # seconds of a timing
WARM = 2  # steps that are not timed, beside the one that is counted
BATCHES = {"tiny": 64, "small": 32, "base": 4}
CHECKPOINTED = "ours fp32, checkpointing"
STEPS = ("plain fp32", "ours fp32", CHECKPOINTED, "ours bf16")
TOLERANCE = {"ours fp32": 1e-4, CHECKPOINTED: 1e-4, "ours bf16": 2e-2}  # of the plain losses


def config_of(name: str, batch: int, assignments: list[str]) -> Config:
    """A preset as both can compute it: the plain step decodes every masked tube and draws no dropout."""
    changes = {"pretrain.batch": batch, "model.dropout": 0.0, "mask.decoded": 1.0}
    return override(preset(name), {**changes, **parse_assignments(assignments)})


def make_batch(config: Config) -> Batch:
    """Random pixels and words; captions of the longest length."""
    random, shape, known = generator("step"), config.model, WORDS[config.data.tokenizer]
    size = (config.pretrain.batch, shape.frames, shape.size, shape.size, 3)
    video = torch.randint(0, 256, size, generator=random, dtype=torch.uint8)
    words = torch.randint(known.mask + 2, known.size, (len(video), shape.words), generator=random)
    words[:, 0], words[:, -1] = known.cls, known.sep
    own = rows_of(len(video), 1, rank())
    return Batch(video[own], words[own], words, [str(row) for row in own])


def make_step(kind: str, config: Config) -> tuple[Callable[[], Tensor], Callable[[], dict[str, Tensor]]]:
    """The whole step, and its losses alone."""
    if kind == CHECKPOINTED:
        config = override(config, {"machine.checkpointing": True})
    device = use_machine(config.machine) if kind.startswith("ours") else torch.device("cpu")
    if config.machine.threads:
        torch.set_num_threads(config.machine.threads)
    known = WORDS[config.data.tokenizer]
    model, batch = SimVTPModel(config, known.size).to(device).train(), make_batch(config)
    objective: Callable[[MaskedBatch], dict[str, Tensor]]
    if kind == "plain fp32":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        objective = lambda given: plain_losses(model, given, config)  # noqa: E731
    else:
        optimizer = make_optimizer(model, config.pretrain)
        objective = wrap_model(Pretraining(model, config), config.machine, device)

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


def serve(kind: str, config: Config) -> None:
    """A process of its own, since the highest memory of a process never falls; it does what the input's lines say.

    Prints its losses, then for each line a number: step: seconds of one; ceiling: GFLOP/s; shapes: least seconds of a
    step's products; peak: GB; forward, gflop: counted GFLOP of the losses alone and of a step.
    """
    with joined(config.machine):
        step, losses = make_step(kind, config)
        last: dict[str, Tensor] = {}
        with torch.no_grad():
            forward = gflop(lambda: last.update(losses()))
        print(json.dumps({name: float(value) for name, value in last.items()}), flush=True)
        whole = gflop(step)
        for _ in range(WARM):
            step()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        dtype = torch.bfloat16 if kind.endswith("bf16") else torch.float32
        answers: dict[str, Callable[[], float]] = {
            "step": lambda: seconds_of(step),
            "ceiling": lambda: ceiling(dtype),
            "shapes": lambda: seconds_of_products(step, dtype),
            "peak": lambda: peak,
            "forward": lambda: forward,
            "gflop": lambda: whole,
        }
        for line in sys.stdin:
            print(json.dumps(answers[line.strip()]()), flush=True)


def seconds_of(action: Callable[[], object]) -> float:
    """The mean of as many calls as take half a second, after one that is not timed.

    In training steps follow each other; the first after a pause, in which others take the caches, was measured a
    quarter slower. Processes that train together wait for each other in every step, so all do as many as the leading.
    """
    began = time.perf_counter()
    action()
    calls = decide(lambda: math.ceil(AT_LEAST / (time.perf_counter() - began)))
    began = time.perf_counter()
    for _ in range(calls):
        action()
    return (time.perf_counter() - began) / calls


class Child:
    """One kind of step in a living process, so that several can take turns and a slow minute is slow for all."""

    def __init__(
        self, kind: str, name: str, batch: int, assignments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        words = [sys.executable, str(Path(__file__).resolve()), "--one", kind, "--preset", name, "--batch", str(batch)]
        words += [f"--set={text}" for text in assignments]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
        )
        self.said: dict[str, list[float]] = {}

    def losses(self) -> dict[str, float]:
        """The first line that it prints."""
        losses: dict[str, float] = self._read()
        return losses

    def ask(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()

    def answer(self, what: str) -> float:
        value: float = self._read()
        self.said.setdefault(what, []).append(value)
        return value

    def tell(self, what: str) -> float:
        self.ask(what)
        return self.answer(what)

    def end(self) -> dict[str, float]:
        """Medians of what it said."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        return {name: statistics.median(numbers) for name, numbers in self.said.items()}

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a measuring process has died; its error is above")
        return json.loads(line)


def compare(name: str, batch: int, steps: int, assignments: list[str]) -> list[dict[str, str]]:
    """The rows of one preset."""
    children = {kind: Child(kind, name, batch, assignments) for kind in STEPS}
    check_losses({kind: child.losses() for kind, child in children.items()})
    for _ in range(steps):
        for child in children.values():
            child.tell("step")
            child.tell("ceiling")
    for child in children.values():
        for what in ("peak", "forward", "gflop", "shapes"):
            child.tell(what)
    plain = children["plain fp32"].said["step"]
    faster = {
        kind: statistics.median(p / o for p, o in zip(plain, child.said["step"], strict=True))
        for kind, child in children.items()
    }
    costs = {kind: child.end() for kind, child in children.items()}
    title, reference = f"{name}, batch {batch}", costs["plain fp32"]
    return [row(title, kind, one, reference, faster[kind], batch) for kind, one in costs.items()]


def check_losses(losses: dict[str, dict[str, float]]) -> None:
    """Raise AssertionError if a loss is not the plain one to rounding."""
    for kind, tolerance in TOLERANCE.items():
        for name, wanted in losses["plain fp32"].items():
            given = losses[kind][name]
            assert abs(given - wanted) <= tolerance * abs(wanted), (kind, name, given, wanted)


def row(
    preset: str, kind: str, one: dict[str, float], plain: dict[str, float], faster: float, batch: int
) -> dict[str, str]:
    rate = one["gflop"] / one["step"]
    return {
        "preset": preset,
        "step": kind,
        "seconds": f"{one['step']:.3g}",
        "against plain": f"{faster:.2f}x",
        "peak GB": f"{one['peak']:.2f}",
        "of plain's peak": f"{100 * one['peak'] / plain['peak']:.0f}%",
        "GFLOP a sample, forward": f"{one['forward'] / batch:.4g}",
        "GFLOP/s": f"{rate:.0f}",
        "of the ceiling": f"{100 * rate / one['ceiling']:.0f}% of {one['ceiling']:.0f}",
        "of its own shapes": f"{100 * one['shapes'] / one['step']:.0f}%",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", action="append", dest="presets", help="again for more (tiny, base)")
    parser.add_argument("--batch", type=int, help="samples a step (tiny 64, small 32, base 4)")
    parser.add_argument("--steps", type=int, default=4, help="turns (4)")
    parser.add_argument("--set", action="append", default=[], dest="assignments", metavar="KEY=VALUE")
    parser.add_argument("--one", choices=STEPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    presets = arguments.presets or ["tiny", "base"]
    if arguments.one:
        serve(arguments.one, config_of(presets[0], arguments.batch or BATCHES[presets[0]], arguments.assignments))
        return
    print_environment()
    rows = []
    for name in presets:
        rows += compare(name, arguments.batch or BATCHES[name], arguments.steps, arguments.assignments)
    print(markdown(rows))


if __name__ == "__main__":
    main()
