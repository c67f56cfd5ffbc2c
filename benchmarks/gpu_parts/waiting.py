"""Part (a), the step: it never waits for the device. Reading losses for the log and evaluation are not part of it."""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu_parts.checks import Check, Row, Scale
from benchmarks.gpu_parts.correctness import LOSS_LIMIT, OPTIONS
from benchmarks.gpu_parts.workload import Workload, config_for
from benchmarks.model.step import WORDS, make_batch
from simvtp.config.schema import Config
from simvtp.data.train_loader import Batch
from simvtp.distributed.device_copy import copy_to_device
from simvtp.finetune import Finetuning
from simvtp.models.dual_encoder import make_dual_encoder
from simvtp.models.objectives import Pretraining, weights_of
from simvtp.models.simvtp import SimVTPModel
from simvtp.pretrain import masked
from simvtp.training.trainer import Trainer

Prepare = Callable[[Batch, int], tuple[Any, ...]]


def no_waiting(scale: Scale) -> Iterator[Row]:
    """Forward, backward and optimiser while torch raises at every wait for the GPU; on a CPU, on the meta device,
    where no value can be read."""
    cuda = scale.device == "cuda"
    for name, changes in OPTIONS.items():
        workload = Workload(config_for(scale, "tiny", scale.batch, changes), "cuda" if cuda else "cpu")
        dtype = torch.bfloat16 if cuda else torch.float32
        if cuda:
            workload.step(dtype)  # the optimiser's state, cuBLAS's workspaces
        else:
            workload.inputs = on_meta(workload.inputs)
            workload.model.to("meta")
            workload.device = torch.device("meta")
        error = ""
        try:
            with waits_are_errors() if cuda else nullcontext():
                workload.step(dtype) if cuda else _on_meta_step(workload)
        except torch.AcceleratorError:  # nothing works in this process any more
            raise
        except (RuntimeError, NotImplementedError) as found:
            traceback.print_exc()  # where, for the part's log
            error = str(found).partition("\n")[0][:120]
        yield {"option": name, "waits": error or "never", "ok": "no" if error else "yes"}


def _on_meta_step(workload: Workload) -> None:
    torch.stack(list(workload.objective(workload.inputs).values())).sum().backward()  # type: ignore[no-untyped-call]


def on_meta(part: Any) -> Any:
    """The same inputs with every tensor on the device that has shapes and no values."""
    if isinstance(part, Tensor):
        return part.to("meta")
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **{entry.name: on_meta(getattr(part, entry.name)) for entry in fields(part)})
    return part


STEPS: dict[str, dict[str, Any]] = {
    "fp32": {"precision": "fp32"},
    "bf16": {"precision": "bf16"},
    "bf16, moving average, two parts": {"precision": "bf16", "ema": 0.9, "accumulate": 2},
    "bf16 weights": {"precision": "bf16-pure"},
    "bf16 weights, moving average, two parts": {"precision": "bf16-pure", "ema": 0.9, "accumulate": 2},
}


def whole_steps(scale: Scale) -> Iterator[Row]:
    """A step of each stage as training does it: copies to the device, masks, losses, gradients, optimiser, average.

    The loss of the first one against fp32 on the CPU; from the third on no wait for the device is allowed.
    """
    for stage in ("pretrain", "finetune"):
        for name, own in STEPS.items():
            changes = {f"{stage}.{key}": value for key, value in own.items()}
            config = config_for(scale, "tiny", scale.batch, {"finetune.batch": scale.batch, **changes})
            parts = {f"{stage}.accumulate": own.get("accumulate", 1), f"{stage}.precision": "fp32"}
            plain = config_for(scale, "tiny", scale.batch, {"finetune.batch": scale.batch, **parts})
            (wanted,), error = losses_of(plain, stage, "cpu", steps=1)
            (found, *_), error = losses_of(config, stage, scale.device, steps=4)
            limit = LOSS_LIMIT[torch.float32 if own["precision"] == "fp32" else torch.bfloat16]
            apart = abs(found - wanted) / abs(wanted)
            yield {
                "step": f"{stage}, {name}", "loss": f"{found:.4f}", "differs by": f"{apart:.1e}",
                "waits": error or "never", "ok": "no" if error or not apart < limit else "yes",
            }  # fmt: skip


def losses_of(config: Config, stage: str, device: str, steps: int) -> tuple[list[float], str]:
    """The losses of a few steps, and what a step waited for after the first two, which take memory; "": nothing."""
    batch, found, error = make_batch(config), list[Tensor](), ""
    with tempfile.TemporaryDirectory(prefix="simvtp-step-") as folder:
        trainer, prepare = trainer_of(config, stage, Path(folder), torch.device(device))
        trainer.wrapped.forward.train()
        for number in range(steps):
            try:
                with waits_are_errors() if device == "cuda" and number > 1 else nullcontext():
                    found.append(trainer._step(batch, prepare)["loss"])
            except torch.AcceleratorError:
                raise
            except RuntimeError as waited:
                traceback.print_exc()
                error = str(waited).partition("\n")[0][:120]
                break
            trainer.step += 1
    return [float(loss) for loss in found], error


def trainer_of(config: Config, stage: str, folder: Path, device: torch.device) -> tuple[Trainer, Prepare]:
    """A stage's trainer, and how it prepares a batch of random clips and captions."""
    known: Any = WORDS[config.data.tokenizer]
    model: nn.Module = SimVTPModel(config, known.size)
    if stage == "pretrain":
        model = model.to(device)
        objective: nn.Module = Pretraining(model, config)
    else:
        model = make_dual_encoder(model, config).to(device)
        objective = Finetuning(model, config)
    trainer = Trainer(
        name=stage, model=model, objective=objective, optimisation=getattr(config, stage), steps=100, warmup=1,
        weights=weights_of(config) if stage == "pretrain" else {"vtc": 1.0}, seed=0, folder=folder,
        machine=config.machine, device=device,
    )  # fmt: skip
    return trainer, prepare_of(config, stage, device)


def prepare_of(config: Config, stage: str, device: torch.device) -> Prepare:
    known: Any = WORDS[config.data.tokenizer]

    def prepare(batch: Batch, draw: int) -> tuple[Any, ...]:
        if stage == "pretrain":
            return (masked(batch, config, known, draw, device),)
        words = copy_to_device(batch.words, device)
        return copy_to_device(batch.video, device), words, words != known.pad

    return prepare


def copies(scale: Scale) -> Iterator[Row]:
    """A batch of `base` is copied while the GPU is busy: the CPU goes on before the GPU has done what came before.

    Copies from ordinary memory may wait without torch's noticing (`waits_are_errors`).
    """
    if scale.device != "cuda":
        yield {"batch": "copies to a GPU: not on a CPU", "CPU ms": "", "the GPU was done": "", "ok": "yes"}
        return
    device = torch.device("cuda")
    config = config_for(scale, "base", scale.step_batch)
    batch = make_batch(config)
    for stage in ("pretrain", "finetune"):
        prepare = prepare_of(config, stage, device)
        prepare(batch, 0)  # takes the memory
        torch.cuda.synchronize()
        torch.cuda._sleep(2_000_000_000)  # clock cycles of the GPU, about a second
        began = time.perf_counter()
        prepare(batch, 1)
        took, done = time.perf_counter() - began, torch.cuda.current_stream().query()
        yield {
            "batch": f"{stage}, {scale.step_batch} clips", "CPU ms": f"{1000 * took:.1f}",
            "the GPU was done": "yes" if done else "no", "ok": "no" if done else "yes",
        }  # fmt: skip
        torch.cuda.synchronize()


@contextmanager
def waits_are_errors() -> Iterator[None]:
    """torch raises RuntimeError where the CPU would wait for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


CHECKS = (
    Check("losses and gradients never wait for the device", 30, no_waiting),
    Check("whole steps never wait for the device", 40, whole_steps),
    Check("copies never wait for the device", 20, copies),
)
