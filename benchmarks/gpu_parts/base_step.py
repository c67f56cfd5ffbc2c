"""Part (b): one step of preset `base` with every backend, compared with the measured ceiling of the card.

The plain step is the release's design in fp32 (`benchmarks/model/plain.py`), on the same weights, clips and masks.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.gpu_parts.checks import Check, Row, Scale
from benchmarks.gpu_parts.workload import Workload, config_for, free_memory, peak_gb, seconds_of, wait
from benchmarks.model.plain import plain_losses
from simvtp.models.flops import pretrain_gflop
from simvtp.models.transformer import Block
from simvtp.training.parallelize import WrappedModel

BF16, FP32 = torch.bfloat16, torch.float32
CEILING = "ceiling.json"  # in scale.out: TFLOP/s by precision, kept for the checks that come after a restart


def ceiling(scale: Scale) -> list[Row]:
    """Best rate of one large square matrix product in each precision; the ceiling that shares are of."""
    rows, best = [], {}
    before = torch.get_float32_matmul_precision()
    for name, dtype, precision in (("bf16", BF16, before), ("tf32", FP32, "high"), ("fp32", FP32, "highest")):
        torch.set_float32_matmul_precision(precision)
        rates = {}
        for side in scale.sides:
            left, right = (torch.randn(side, side, device=scale.device, dtype=dtype) for _ in range(2))
            rates[side] = 2 * side**3 / seconds_of(lambda: left @ right, scale.device, scale.seconds / 4) / 1e12  # noqa: B023
        best[name] = max(rates.values())
        rows.append({"precision": name, **{f"{side}, TFLOP/s": f"{rate:.3g}" for side, rate in rates.items()}})
    torch.set_float32_matmul_precision(before)
    (Path(scale.out) / CEILING).write_text(json.dumps(best))
    free_memory()
    return rows


def timed(scale: Scale, name: str, workload: Workload, action: Callable[[], object], precision: str) -> Row:
    """One row: the time of `action`, one step of the workload."""
    seconds = seconds_of(action, scale.device, scale.seconds)
    batch = workload.config.pretrain.batch
    rate = pretrain_gflop(workload.config) / seconds / 1e3
    path = Path(scale.out) / CEILING
    best = json.loads(path.read_text())[precision] if path.exists() else math.nan
    return {
        "step": name, "batch": str(batch), "ms": f"{1000 * seconds:.1f}", "samples/s": f"{batch / seconds:.1f}",
        "peak GB": f"{peak_gb():.2f}" if scale.device == "cuda" else "", "TFLOP/s": f"{rate:.3g}",
        "of the ceiling": f"{100 * rate / best:.1f}%",
    }  # fmt: skip


def made(scale: Scale, batch: int | None = None, changes: Mapping[str, Any] | None = None) -> Workload:
    free_memory()
    return Workload(config_for(scale, "base", batch or scale.step_batch, changes), scale.device)


def plain(scale: Scale) -> Iterator[Row]:
    """The release's design in fp32 with PyTorch's default AdamW, and ours in fp32, on the same batch."""
    yield plain_row(scale)  # its model is freed before ours is made
    workload = made(scale)
    yield timed(scale, "ours fp32", workload, workload.step, "fp32")


def plain_row(scale: Scale) -> Row:
    workload = made(scale)
    optimizer = torch.optim.AdamW(workload.model.parameters(), lr=1e-4)

    def step() -> None:
        losses = plain_losses(workload.model, workload.inputs, workload.config)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return timed(scale, "plain fp32", workload, step, "fp32")


def eager(scale: Scale) -> Iterator[Row]:
    workload = made(scale)
    yield timed(scale, "bf16 autocast", workload, lambda: workload.step(BF16), "bf16")
    torch.set_float32_matmul_precision("high")  # products that autocast leaves in fp32
    yield timed(scale, "bf16 autocast, tf32 for the rest", workload, lambda: workload.step(BF16), "bf16")
    torch.set_float32_matmul_precision("highest")


def pure(scale: Scale) -> list[Row]:
    """Weights in bf16, AdamW on fp32 masters, as precision=bf16-pure does."""
    workload = made(scale)
    optimizer, machine = workload.optimizer, workload.config.machine
    assert optimizer is not None
    wrapped = WrappedModel(workload.model, workload.objective, machine, workload.device, 0.0, None, pure_bf16=True)

    def step() -> None:
        torch.stack(list(wrapped.forward(workload.inputs).values())).sum().backward()  # type: ignore[no-untyped-call]
        wrapped.before_step()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        wrapped.after_step()

    return [timed(scale, "bf16 weights, fp32 masters", workload, step, "bf16")]


def attention(scale: Scale) -> Iterator[Row]:
    """The step with one backend of scaled_dot_product_attention allowed beside the plain one."""
    workload = made(scale)
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION, None):
        allowed = [SDPBackend.MATH] if backend is None else [backend, SDPBackend.MATH]
        name = "plain" if backend is None else backend.name.partition("_")[0].lower()
        try:
            with sdpa_kernel(allowed, set_priority=True):
                free_memory()
                row = timed(scale, f"bf16, {name} attention", workload, lambda: workload.step(BF16), "bf16")
        except RuntimeError as error:  # no such kernel for these inputs; the others are still worth knowing
            if isinstance(error, torch.AcceleratorError):  # nothing works in this process any more
                raise
            row = dict.fromkeys(COLUMNS, "") | {"step": f"{name}: {str(error).partition(chr(10))[0][:80]}"}
        yield row


def lengths(scale: Scale) -> Iterator[Row]:
    """The first step with captions of a length that was not there before, and the second.

    cuDNN, which training switches off (`use_machine`), prepares every shape of attention by itself.
    """
    workload = made(scale)
    for name, first in (("as in training", ()), ("cuDNN first", (SDPBackend.CUDNN_ATTENTION,))):
        others = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)
        with sdpa_kernel([*first, *others], set_priority=True):
            for words in range(workload.config.model.words, workload.config.model.words - 3, -1):
                workload.take(words)
                row = {"attention": name, "words": str(words)}
                for which in ("first", "second"):
                    wait(scale.device)
                    began = time.perf_counter()
                    workload.step(BF16)
                    wait(scale.device)
                    row |= {f"{which} step, ms": f"{1000 * (time.perf_counter() - began):.1f}"}
                yield row


def varlen(scale: Scale) -> list[Row]:
    """All passes of the encoder attended by one kernel for sequences of any length."""
    if scale.device != "cuda":
        return [dict.fromkeys(COLUMNS, "") | {"step": "variable-length attention: not on a CPU"}]
    workload = made(scale)
    workload.model.encoder.varlen = True
    return [timed(scale, "bf16, variable-length attention", workload, lambda: workload.step(BF16), "bf16")]


def compiled(scale: Scale, name: str, **options: Any) -> list[Row]:
    """Every layer compiled by itself, as machine.compile does."""
    torch._dynamo.reset()
    workload = made(scale)
    for layer in workload.model.modules():
        if isinstance(layer, Block):
            layer.compile(**({"backend": scale.compiler} if scale.compiler != "inductor" else options))
    return [timed(scale, name, workload, lambda: workload.step(BF16), "bf16")]


def graphed(scale: Scale) -> list[Row]:
    """Forward and backward as one CUDA graph; the optimiser outside."""
    if scale.device != "cuda":
        return [dict.fromkeys(COLUMNS, "") | {"step": "CUDA graph: not on a CPU"}]
    workload = made(scale)
    optimizer = workload.optimizer
    assert optimizer is not None
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # warm-up on a side stream, as capture needs
        for _ in range(3):
            workload.step(BF16)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    optimizer.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph), torch.autocast("cuda", BF16, cache_enabled=False):
        torch.stack(list(workload.objective(workload.inputs).values())).sum().backward()  # type: ignore[no-untyped-call]

    def step() -> None:
        graph.replay()  # writes the gradients anew
        optimizer.step()

    return [timed(scale, "bf16, CUDA graph", workload, step, "bf16")]


def optimizers(scale: Scale) -> Iterator[Row]:
    """The optimiser's step alone."""
    for name, options in (("fused", {"fused": True}), ("foreach", {"foreach": True}), ("loop", {"foreach": False})):
        workload = made(scale, 2)
        workload.backward(BF16)
        optimizer = torch.optim.AdamW(workload.model.parameters(), lr=1e-4, **options)
        seconds = seconds_of(optimizer.step, scale.device, scale.seconds / 4)
        yield {"AdamW": name, "ms": f"{1000 * seconds:.2f}"}


def batches(scale: Scale) -> Iterator[Row]:
    """Twice the batch until memory is full."""

    def measure(batch: int) -> Row:
        workload = made(scale, batch)
        return timed(scale, "bf16 autocast", workload, lambda: workload.step(BF16), "bf16")

    batch = scale.step_batch
    while batch <= scale.largest_batch:
        try:
            row = measure(batch)
        except torch.cuda.OutOfMemoryError:
            yield dict.fromkeys(COLUMNS, "") | {"step": "out of memory", "batch": str(batch)}
            break
        yield row
        batch *= 2
    free_memory()


def ratios(scale: Scale) -> Iterator[Row]:
    """Time at each mask ratio against what the count of operations predicts, from the preset's own ratio."""

    def measure(ratio: float) -> tuple[float, float]:
        workload = made(scale, changes={"mask.video": ratio})
        seconds = seconds_of(lambda: workload.step(BF16), scale.device, scale.seconds)
        return seconds, pretrain_gflop(workload.config)

    own_seconds, own_flop = measure(0.9)
    for ratio in (0.9, 0.5, 0.75, 0.95):
        seconds, flop = (own_seconds, own_flop) if ratio == 0.9 else measure(ratio)
        yield {
            "masked": f"{ratio:.0%}", "ms": f"{1000 * seconds:.1f}", "predicted": f"{flop / own_flop:.2f}x",
            "measured": f"{seconds / own_seconds:.2f}x",
            "off by": f"{100 * (seconds / own_seconds / (flop / own_flop) - 1):+.0f}%",
        }  # fmt: skip


COLUMNS = ("step", "batch", "ms", "samples/s", "peak GB", "TFLOP/s", "of the ceiling")
CHECKS = (
    Check("ceiling", 30, ceiling),
    Check("plain step and ours in fp32", 40, plain),
    Check("bf16, eager", 30, eager),
    Check("bf16 weights", 30, pure),
    Check("attention backends", 40, attention),
    Check("variable-length attention", 20, varlen),
    Check("captions of new lengths", 20, lengths),
    Check("mask ratios", 40, ratios),
    Check("batch until memory is full", 40, batches),
    Check("CUDA graph", 30, graphed),
    Check("optimiser", 20, optimizers),
    Check("compiled", 75, lambda scale: compiled(scale, "bf16, compiled")),
    Check(
        "compiled, reduce-overhead",
        75,
        lambda scale: compiled(scale, "bf16, compiled, reduce-overhead", mode="reduce-overhead"),
    ),
)
