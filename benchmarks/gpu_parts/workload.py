"""A pre-training step on random clips and captions, on any device; what correctness and speed are measured on."""

from __future__ import annotations

import copy
import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_parts.checks import Scale
from benchmarks.model.step import WORDS, make_batch
from simvtp.config.presets import preset
from simvtp.config.schema import Config, override
from simvtp.data.train_loader import Batch
from simvtp.models.masking import MaskedBatch
from simvtp.models.objectives import Pretraining
from simvtp.models.simvtp import SimVTPModel
from simvtp.pretrain import masked
from simvtp.training.optimizer import make_optimizer

TIMED_STEPS = 100  # at most, in one timing
WARM_STEPS = 3


def config_for(scale: Scale, name: str, batch: int, changes: Mapping[str, Any] | None = None) -> Config:
    """The preset at this scale, without dropout, so that devices can be compared."""
    made = {"pretrain.batch": batch, "model.dropout": 0.0, **getattr(scale, name), **(changes or {})}
    return override(preset(name), made)


_drawn: dict[str, tuple[object, Any]] = {}


def drawn(what: str, key: object, draw: Callable[[], Any]) -> Any:
    """What `draw` gives, or gave last for the same key: to draw a model and a batch of `base` takes seconds."""
    if what not in _drawn or _drawn[what][0] != key:
        _drawn[what] = key, draw()
    return _drawn[what][1]


class Workload:
    """Model, inputs and optimiser of one config. The same config gives the same weights and inputs everywhere."""

    def __init__(self, config: Config, device: str, optimizer: bool = True) -> None:
        self.config, self.device = config, torch.device(device)
        known: Any = WORDS[config.data.tokenizer]
        key = config.seed, config.model, config.objective, config.mask.words, config.pretrain.drop_path
        model: SimVTPModel = drawn("model", key, lambda: SimVTPModel(config, known.size))
        self.model = copy.deepcopy(model).to(self.device).train()
        self.objective = Pretraining(self.model, config)
        self.take(config.model.words)
        self.optimizer: torch.optim.Optimizer | None = None
        if optimizer:
            self.make_optimizer()

    def take(self, words: int) -> None:
        """Masked inputs of random clips and captions, of which so many words are left."""
        config, known = self.config, WORDS[self.config.data.tokenizer]
        key = config.pretrain.batch, config.model, config.data.tokenizer
        batch: Batch = drawn("batch", key, lambda: make_batch(config))
        shorter = replace(batch, words=batch.words[:, :words], all_words=batch.all_words[:, :words])
        self.inputs: MaskedBatch = masked(shorter, config, known, 0, self.device)  # type: ignore[arg-type]
        if config.objective.negatives == "random":
            self.inputs = replace(self.inputs, negatives=self.inputs.negatives.to(self.device))

    def make_optimizer(self) -> None:
        """Of the parameters as they are now."""
        self.optimizer = make_optimizer(self.model, self.config.pretrain)

    def losses(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Unweighted losses; dtype bfloat16: under autocast."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
            losses: dict[str, Tensor] = self.objective(self.inputs)
        return losses

    def backward(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The summed loss, its gradients added to the parameters."""
        loss = torch.stack(list(self.losses(dtype).values())).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def step(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Forward, backward and one step of the optimiser."""
        assert self.optimizer is not None
        loss = self.backward(dtype)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss

    def gradients(self) -> dict[str, Tensor]:
        """By parameter, fp32 on the CPU."""
        parameters = self.model.named_parameters()
        return {name: parameter.grad.float().cpu() for name, parameter in parameters if parameter.grad is not None}


def wait(device: torch.device | str) -> None:
    """Until the device has done what it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def seconds_of(action: Callable[[], object], device: torch.device | str, seconds: float) -> float:
    """Mean seconds of one call in a row of calls that takes about `seconds`, after a few that are not timed."""
    for _ in range(WARM_STEPS):
        action()
    wait(device)
    began = time.perf_counter()
    action()
    wait(device)
    calls = min(TIMED_STEPS, max(3, math.ceil(seconds / (time.perf_counter() - began))))
    began = time.perf_counter()
    for _ in range(calls):
        action()
    wait(device)
    return (time.perf_counter() - began) / calls


def free_memory() -> None:
    """Give the memory of dropped models back, and count the peak anew."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gb() -> float:
    """Highest memory of tensors on the GPU since `free_memory`, GB."""
    return torch.cuda.max_memory_allocated() / 1e9


def relative(computed: Tensor, wanted: Tensor) -> float:
    """Size of the difference over the size of `wanted`."""
    return float((computed - wanted).norm() / wanted.norm().clamp_min(1e-30))
