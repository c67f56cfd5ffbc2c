"""Part (a), the training around the model: EMA, DDP, FSDP2, compile, resume, evaluation."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch._dynamo.utils import counters
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from benchmarks.gpu_parts.checks import CORPUS, Check, Row, Scale
from benchmarks.gpu_parts.workload import Workload, config_for, relative
from simvtp.config.experiment import Experiment
from simvtp.config.schema import Config, override
from simvtp.evaluate import evaluate
from simvtp.models.objectives import Pretraining
from simvtp.models.transformer import Block
from simvtp.run import run
from simvtp.runtime.files import read_json
from simvtp.runtime.signals import Interrupted
from simvtp.training.parallelize import Average, wrap_model

STEPS = 3
CLOSE = 1e-3  # relative difference of losses after a few steps in fp32
SHORT = {
    "data.pretrain": CORPUS, "data.finetune": CORPUS, "pretrain.length": "40 steps", "pretrain.warmup": "5 steps",
    "pretrain.batch": 16, "finetune.length": "20 steps", "finetune.warmup": "2 steps", "finetune.batch": 16,
    "machine.checkpoint_seconds": 0.001, "machine.workers": 0,
}  # fmt: skip


def curve(workload: Workload, after: Callable[[], None] = lambda: None) -> list[float]:
    """Losses of a few steps in fp32."""
    losses = []
    for _ in range(STEPS):
        losses.append(float(workload.step()))
        after()
    return losses


def row(what: str, computed: list[float], wanted: list[float], more: str = "") -> Row:
    apart = max(abs(a - b) / abs(b) for a, b in zip(computed, wanted, strict=True))
    return {
        "what": what, "losses": ", ".join(f"{value:.4f}" for value in computed), "differ by": f"{apart:.1e}",
        "note": more, "ok": "yes" if apart < CLOSE else "no",
    }  # fmt: skip


@contextmanager
def one_process(device: str) -> Iterator[None]:
    """A process group of this process alone: NCCL on a GPU, Gloo on a CPU."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=address, rank=0, world_size=1)
    try:
        yield
    finally:
        dist.destroy_process_group()


def wrappers(scale: Scale) -> Iterator[Row]:
    """Losses of three steps with each wrapper against the bare model; EMA against its definition."""
    config = config_for(scale, "tiny", scale.batch)
    wanted = curve(Workload(config, scale.device))
    yield averaged(config, scale, wanted)
    with one_process(scale.device):
        shared = Workload(config, scale.device)
        shared.objective = DistributedDataParallel(
            shared.objective, broadcast_buffers=False, gradient_as_bucket_view=True
        )  # type: ignore[assignment]
        yield row("DDP, one process", curve(shared), wanted)
        sharded = Workload(config, scale.device, optimizer=False)
        mesh = init_device_mesh(scale.device, (1,))
        for layer in [part for part in sharded.model.modules() if isinstance(part, Block)]:
            fully_shard(layer, mesh=mesh)
        fully_shard(sharded.objective, mesh=mesh)
        sharded.make_optimizer()  # of the sharded parameters
        yield row("FSDP2, one process", curve(sharded), wanted)


def averaged(config: Config, scale: Scale, wanted: list[float]) -> Row:
    decay, workload = 0.9, Workload(config, scale.device)
    average = Average(workload.model, decay, None)
    name, parameter = max(workload.model.named_parameters(), key=lambda pair: pair[1].numel())
    by_hand = parameter.detach().clone()

    def after() -> None:
        average.update()
        by_hand.mul_(decay).add_(parameter.detach(), alpha=1 - decay)

    computed = curve(workload, after)
    apart = float((average.named()[name] - by_hand).abs().max())
    return row("EMA", computed, wanted if apart < 1e-6 else [0.0] * STEPS, f"{name} differs by {apart:.1e}")


def compiled(scale: Scale) -> Iterator[Row]:
    """Layers compiled once for all mask ratios: losses as eager, and no graph more after the second ratio."""
    torch._dynamo.reset()
    counters.clear()
    layers = Workload(config_for(scale, "tiny", scale.batch), scale.device, optimizer=False).model
    for layer in layers.modules():
        if isinstance(layer, Block):
            layer.compile(backend=scale.compiler)
    for ratio in (0.5, 0.9, 0.75, 0.95):
        workload = Workload(
            config_for(scale, "tiny", scale.batch, {"mask.video": ratio}), scale.device, optimizer=False
        )
        wanted = float(workload.backward())
        workload.objective = Pretraining(layers, workload.config)  # the same weights
        began = time.monotonic()
        loss = float(workload.backward())
        took = time.monotonic() - began
        graphs, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
        yield row(f"compiled, {ratio:.0%} masked", [loss], [wanted], f"{took:.1f} s, {graphs} graphs, {breaks} breaks")


def recomputed(scale: Scale) -> Iterator[Row]:
    """Layers that are compiled and computed again, with dropped paths: the draws, losses and gradients of eager mode.

    On a CPU they are computed again and not compiled.
    """
    config = config_for(scale, "tiny", scale.batch, {"pretrain.drop_path": 0.5})
    compiled, found = scale.device == "cuda", list[tuple[float, Tensor]]()
    for machine in (config.machine, replace(config.machine, compile=compiled, checkpointing=True)):
        workload = Workload(config, scale.device, optimizer=False)
        wrap_model(workload.objective, machine, workload.device)
        torch.manual_seed(0)
        loss = float(workload.backward())
        found.append((loss, torch.cat([gradient.flatten() for gradient in workload.gradients().values()])))
    (wanted, right), (loss, gradients) = found
    apart = relative(gradients, right)
    made = row("computed again" + ", compiled" * compiled, [loss], [wanted], f"gradients differ by {apart:.1e}")
    yield made if apart < CLOSE else made | {"ok": "no"}


def interrupted(experiment: Experiment, after_step: int) -> bool:
    """Run until pre-training has logged that step, with SIGTERM then; whether it stopped in the middle."""
    over, folder = threading.Event(), experiment.pretrain_dir
    assert folder is not None

    def watch() -> None:
        while not over.wait(0.02):
            log = folder / "log.jsonl"
            if log.exists() and len(log.read_text().splitlines()) > after_step:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        run(experiment)
        return False
    except Interrupted:
        return True
    finally:
        over.set()
        thread.join()


def resumed(scale: Scale) -> Iterator[Row]:
    """A whole run, once in one go and once stopped by SIGTERM and gone on with; then its test on the CPU."""
    config = override(config_for(scale, "tiny", 16, SHORT), {"machine.device": scale.device})
    work = Path(scale.out) / "runs"
    shutil.rmtree(work, ignore_errors=True)
    whole, stopped = (Experiment(config, "tiny", work / name) for name in ("whole", "stopped"))
    results = [read_json(run(whole))]
    note = "stopped in pre-training" if interrupted(stopped, 10) else "it was not stopped"
    results.append(read_json(run(stopped)))
    wanted, computed = (list(result["losses"].values()) for result in results)
    yield row("stopped and resumed", computed, wanted, note)
    on_cpu = Experiment(override(config, {"machine.device": "cpu"}), "tiny", work / "cpu")
    shutil.copytree(whole.results, on_cpu.results)
    (on_cpu.dir / "result.json").unlink()
    results.append(read_json(evaluate(on_cpu)))
    pairs = list(zip(*(results[k]["ranks"]["test"]["text_to_video"] for k in (0, 2)), strict=True))
    other = sum(here != there for here, there in pairs) / len(pairs)
    near = sum(abs(here - there) <= 1 for here, there in pairs) / len(pairs)
    yield {
        "what": "test ranks against the CPU", "losses": "", "differ by": f"{other:.1%} of ranks",
        "note": f"{near:.1%} within one rank", "ok": "yes" if near > 0.98 else "no",
    }  # fmt: skip


CHECKS = (
    Check("EMA, DDP and FSDP2", 40, wrappers),
    Check("stopped, resumed and tested", 60, resumed),
    Check("compiled layers", 90, compiled),
    Check("layers that are computed again", 60, recomputed),
)
