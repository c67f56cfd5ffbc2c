"""What is put around a model from outside: shared gradients, sharded weights, recomputed layers, averaged weights.

The model and its losses know nothing of it. With one process and every option off, nothing is put around at all.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
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

from simvtp.config.schema import Machine
from simvtp.distributed.process_group import size
from simvtp.models.transformer import Block


def around(objective: nn.Module, machine: Machine, device: torch.device) -> nn.Module:
    """`objective`, as the machine's settings ask; its parameters keep their names.

    Layers are the unit of everything: each is recomputed, compiled and sharded (FSDP2) by itself.
    """
    layers = [part for part in objective.modules() if isinstance(part, Block)]
    for layer in layers:
        if machine.checkpointing:
            inner = layer.forward
            layer.forward = functools.partial(checkpoint, inner, use_reentrant=False)  # type: ignore[method-assign]
        if machine.compile:
            layer.compile()
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
    """A tensor with all its shards; every process must ask."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _shard_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    if isinstance(parameter, DTensor) and tensor.shape == parameter.shape:
        return distribute_tensor(tensor.to(parameter.device), parameter.device_mesh, parameter.placements)
    return tensor


class Wrapped:
    """A model in training. forward: what is called and differentiated; `ema` is the decay of averaged weights, 0: none.

    Its state is the same however many processes there are, sharded or not, so a resume may have others.
    """

    def __init__(
        self, model: nn.Module, objective: nn.Module, machine: Machine, device: torch.device, ema: float,
        state: Mapping[str, Any] | None,
    ) -> None:  # fmt: skip
        if state is not None:
            model.load_state_dict(state["model"])
        self.model = model
        self._plain = copy.deepcopy(model) if ema or (machine.shard and size() > 1) else None
        self.forward = around(objective, machine, device)
        self._average = Average(model, ema, state) if ema else None

    def gradients(self, *, last: bool) -> AbstractContextManager[None]:
        """Around each part of a batch: gradients are exchanged once, with the last one."""
        if last or not isinstance(self.forward, DistributedDataParallel):
            return nullcontext()
        return self.forward.no_sync()

    def stepped(self) -> None:
        """After every step of the optimiser."""
        if self._average is not None:
            self._average.update()

    def product(self) -> nn.Module:
        """The model that the stage would give now: a plain one, with averaged weights where they are averaged."""
        if self._plain is None:
            return self.model
        tensors = self.model.state_dict() if self._average is None else self._average.named()
        self._plain.load_state_dict({name: whole(tensor) for name, tensor in tensors.items()})
        return self._plain

    def state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """All of it, without shards; every process must ask."""
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
    """Load what `Wrapped.state` gave for an optimiser of the same parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    moments = {
        number: {name: _shard_like(tensor, parameters[number]) for name, tensor in entry.items()}
        for number, entry in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": moments})


class Average:
    """Exponential moving average of a model's parameters; starts as the parameters that it is made with."""

    def __init__(self, model: nn.Module, decay: float, state: Mapping[str, Any] | None) -> None:
        self._model = model
        self._rule = get_ema_multi_avg_fn(decay)
        kept = None if state is None else state["average"]
        self._values = [
            parameter.detach().clone() if kept is None else _shard_like(kept[name].to(parameter.device), parameter)
            for name, parameter in model.named_parameters()
        ]

    def update(self) -> None:
        now: list[Tensor | nn.Parameter] = [parameter.detach() for parameter in self._model.parameters()]
        self._rule(self._values, now, None)  # the count is not used

    def named(self) -> dict[str, Tensor]:
        return {name: value for (name, _), value in zip(self._model.named_parameters(), self._values, strict=True)}
