"""Wrappers around a model: DDP, FSDP2, activation checkpointing, compilation, bf16 weights, EMA.

The model and its losses know nothing of them. With one process and every option off, nothing is wrapped.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

from simvtp.config.machine import Machine
from simvtp.distributed.process_group import size
from simvtp.errors import ConfigError
from simvtp.models.transformer import Block, Transformer


def wrap_model(objective: nn.Module, machine: Machine, device: torch.device) -> nn.Module:
    """The module to call in training in place of `objective`; its parameters keep their names.

    objective: the model with its losses; machine: `varlen_attention`, `checkpointing`, `compile` and `shard` are read;
    device: where the parameters are. Every transformer block is compiled, recomputed and sharded (FSDP2) by itself, in
    that order. Raises ConfigError for variable-length attention on a CPU.
    """
    if machine.varlen_attention:
        if device.type != "cuda":
            raise ConfigError("machine.varlen_attention: it takes a GPU; leave it out where machine.device is cpu")
        for name, part in objective.named_modules():
            if isinstance(part, Transformer) and name.endswith("encoder"):  # a word decoder has padding in mid-row
                part.varlen = True
    layers = [part for part in objective.modules() if isinstance(part, Block)]
    for layer in layers:
        forward: Callable[..., Any] = layer.forward
        if machine.compile:
            forward = torch.compile(forward)
        if machine.checkpointing:  # around the compiled one: torch.compile leaves a checkpointed forward as it is
            forward = functools.partial(checkpoint, forward, use_reentrant=False, preserve_rng_state=False)
        if machine.compile or machine.checkpointing:
            layer.forward = forward  # type: ignore[method-assign]
    if size() == 1:
        return objective
    if not machine.shard:
        return DistributedDataParallel(objective, broadcast_buffers=False, gradient_as_bucket_view=True)
    mesh = init_device_mesh(device.type, (size(),))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(objective, mesh=mesh)
    return objective


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor -> the tensor of all its shards, on the CPU, since a GPU may hold no whole model with its state;
    every process must call this. Others are returned as given."""
    return tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor


def _shard_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    if isinstance(parameter, DTensor) and tensor.shape == parameter.shape:
        return distribute_tensor(tensor.to(parameter.device), parameter.device_mesh, parameter.placements)
    return tensor


class WrappedModel:
    """A model in training: what is called (`forward`), what is averaged, and what a checkpoint keeps of both.

    model: the model whose weights are trained; objective: a module around it whose forward gives the losses;
    machine, device: as in `wrap_model`; ema: decay of the averaged weights a step, 0: none; state: what `state` gave,
    to resume from, or None; pure_bf16: the forward and backward pass use bf16 copies of the weights (`Bf16Copy`). The
    state is the same however many processes there are, sharded or not, so a resume may have another number of them.
    """

    def __init__(
        self, model: nn.Module, objective: nn.Module, machine: Machine, device: torch.device, ema: float,
        state: Mapping[str, Any] | None, *, pure_bf16: bool = False,
    ) -> None:  # fmt: skip
        if state is not None:
            model.load_state_dict(state["model"])
        self.model = model
        self._plain = copy.deepcopy(model) if ema or (machine.shard and size() > 1) else None
        self._bf16 = Bf16Copy(objective) if pure_bf16 else None
        self.forward = wrap_model(objective if self._bf16 is None else self._bf16.copy, machine, device)
        self._average = Average(model, ema, state) if ema else None

    def gradients(self, *, last: bool) -> AbstractContextManager[None]:
        """The context of the backward pass of one part of a batch: gradients are exchanged once, with the last part."""
        if last or not isinstance(self.forward, DistributedDataParallel):
            return nullcontext()
        return self.forward.no_sync()

    def before_step(self) -> None:
        """Give the model the gradients of its bf16 copy; to be called before every step of the optimiser."""
        if self._bf16 is not None:
            self._bf16.move_gradients()

    def after_step(self) -> None:
        """Update the bf16 copy and the average; to be called after every step of the optimiser."""
        if self._bf16 is not None:
            self._bf16.update()
        if self._average is not None:
            self._average.update()

    def export_model(self) -> nn.Module:
        """A plain model with the weights that the stage would give now: averaged ones where `ema` is not 0.

        Every process must call this.
        """
        if self._plain is None:
            return self.model
        tensors = self.model.state_dict() if self._average is None else self._average.named()
        self._plain.load_state_dict({name: whole(tensor) for name, tensor in tensors.items()})
        return self._plain

    def state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Tensors of the model, the optimiser and the average, without shards; every process must call this."""
        kept = optimizer.state_dict()
        moments = {n: {k: whole(v) for k, v in entry.items()} for n, entry in kept["state"].items()}
        state: dict[str, Any] = {
            "model": {name: whole(tensor) for name, tensor in self.model.state_dict().items()},
            "optimizer": {**kept, "state": moments},
        }
        if self._average is not None:
            state["average"] = {name: whole(tensor) for name, tensor in self._average.named().items()}
        return state


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load the moments of AdamW that `WrappedModel.state` gave for the same parameters; raises ValueError, KeyError.

    Settings such as weight decay stay those of `optimizer`.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments = {}
    for number, entry in state["state"].items():
        parameter = parameters[number]
        for name in ("exp_avg", "exp_avg_sq"):
            if entry[name].shape != parameter.shape or not entry[name].is_floating_point():
                raise ValueError(f"{name} of parameter {number} has another shape or type")
        moments[number] = {"step": entry["step"].float().reshape(())}
        moments[number] |= {name: _shard_like(entry[name], parameter) for name in ("exp_avg", "exp_avg_sq")}
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


class Bf16Copy:
    """A bf16 copy of a module that computes losses and gradients, while the module's own fp32 weights are trained.

    An update that is too small for the 8 bits of a bf16 weight so adds up with the others (master weights, Micikevicius
    et al. 2018, section 3.1). Parts of an accumulated batch add up their gradients in bf16.

    module: whose parameters are fp32; its optimiser, average and checkpoints are those of fp32 training.
    """

    def __init__(self, module: nn.Module) -> None:
        self.copy = copy.deepcopy(module).to(torch.bfloat16)
        self._masters: list[Tensor] = list(module.parameters())
        self._copies: list[Tensor] = list(self.copy.parameters())  # in the same order

    def move_gradients(self) -> None:
        """Gradients of the copy -> fp32 gradients of the module; the copy has none afterwards."""
        for master, copied in zip(self._masters, self._copies, strict=True):
            master.grad = None if copied.grad is None else copied.grad.to(master.dtype)
            copied.grad = None

    def update(self) -> None:
        """Round the module's parameters of now into the copy."""
        with torch.no_grad():
            torch._foreach_copy_(self._copies, self._masters)


class Average:
    """Exponential moving average of a model's parameters: average = decay * average + (1 - decay) * parameter.

    model: whose parameters are averaged, from their values now on; decay: in [0, 1); state: of a checkpoint, whose
    average is continued, or None.
    """

    def __init__(self, model: nn.Module, decay: float, state: Mapping[str, Any] | None) -> None:
        self._model = model
        self._rule = get_ema_multi_avg_fn(decay)
        kept = None if state is None else state["average"]
        for name, parameter in model.named_parameters():
            if kept is not None and kept[name].shape != parameter.shape:
                raise ValueError(f"the average of {name} has another shape")
        self._values = [
            parameter.detach().clone() if kept is None else _shard_like(kept[name].to(parameter.device), parameter)
            for name, parameter in model.named_parameters()
        ]

    def update(self) -> None:
        """Take in the parameters of now."""
        now: list[Tensor | nn.Parameter] = [parameter.detach() for parameter in self._model.parameters()]
        self._rule(self._values, now, None)  # the count is not used

    def named(self) -> dict[str, Tensor]:
        """The averages by the names of the parameters."""
        return {name: value for (name, _), value in zip(self._model.named_parameters(), self._values, strict=True)}
