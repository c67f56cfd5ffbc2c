"""Linear maps, with what stands before them: torch's numbers, and on request less memory, or oneDNN.

Between forward and backward autograd keeps the input of every linear map. Where that input is GELU or LayerNorm of
something that is kept anyway, it can be computed again in the backward pass instead, by the same operation, so bit by
bit the same: a third of what a layer keeps.

In fp32 on the CPU torch multiplies by MKL; on an AMD processor with AVX-512 oneDNN, which torch uses for short floats,
was measured a quarter faster, on an Intel one no faster (docs/performance.md). The results differ by rounding.
`use` chooses for the process.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

Product = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def _by_torch(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return functional.linear(x, weight, bias)


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return functional.linear(x, weight, bias)
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


PRODUCTS: dict[str, Product] = {"torch": _by_torch, "onednn": _by_onednn}
PROCESSOR = Path("/proc/cpuinfo")


@dataclass
class _Choice:
    product: Product = _by_torch
    recompute: bool = False

    def plain(self) -> bool:
        """Nothing asked for: autograd's own nodes are 5% of a step of preset tiny faster than ours."""
        return self.product is _by_torch and not self.recompute


_choice = _Choice()


def use(name: str, *, recompute: bool) -> None:
    """From now on this process multiplies by PRODUCTS[name] and keeps no norms and GELUs where `recompute`.

    auto: onednn on a processor of AMD, torch elsewhere. Raises RuntimeError where oneDNN is asked for and torch was
    built without it.
    """
    if name == "auto":
        name = "onednn" if torch.backends.mkldnn.is_available() and is_amd(PROCESSOR) else "torch"
    if name == "onednn" and not torch.backends.mkldnn.is_available():
        raise RuntimeError("machine.products: this build of torch has no oneDNN; set machine.products=torch")
    _choice.product, _choice.recompute = PRODUCTS[name], recompute


def is_amd(described: Path) -> bool:
    """Whether Linux's description of the processors names AMD; False where there is none."""
    return described.is_file() and "AuthenticAMD" in described.read_text()


def multiplies_bf16(described: Path) -> bool:
    """Whether Linux's description of the processors names products of bf16; True where it lists no instructions."""
    flags = re.search(r"^flags\s*:(.*)$", described.read_text(), re.MULTILINE) if described.is_file() else None
    return flags is None or not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags[1].split())


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x: [..., in], weight: [out, in], bias: [out] -> [..., out]."""
    if _choice.plain():
        return functional.linear(x, weight, bias)
    found: Tensor = _Linear.apply(x, weight, bias)
    return found


def gelu_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """linear(gelu(x)), of which x is kept: [..., in] -> [..., out]."""
    if _choice.plain():
        return functional.linear(functional.gelu(x), weight, bias)
    found: Tensor = _GeluLinear.apply(x, weight, bias)
    return found


def norm_linear(x: Tensor, norm: nn.LayerNorm, weight: Tensor, bias: Tensor) -> Tensor:
    """linear(norm(x)), of which x is kept: [..., in] -> [..., out]."""
    if _choice.plain():
        return functional.linear(norm(x), weight, bias)
    found: Tensor = _NormLinear.apply(x, norm.weight, norm.bias, norm.eps, weight, bias)
    return found


class Linear(nn.Linear):
    """nn.Linear by the product that is chosen."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


def _short(*tensors: Tensor | None) -> list[Any]:
    """As autocast has it, where it is on."""
    kind = next(tensor for tensor in tensors if tensor is not None).device.type
    if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
        return list(tensors)
    dtype = torch.get_autocast_dtype(kind)
    return [None if tensor is None else tensor.to(dtype) for tensor in tensors]


def _multiply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return _choice.product(*_short(x, weight, bias))


def _input_gradient(gradient: Tensor, weight: Tensor) -> Tensor:
    short = weight.to(gradient.dtype)
    return _choice.product(gradient, short.t(), None)


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """By torch in any case: oneDNN is no faster where both are long and none is square."""
    rows = gradient.flatten(0, -2)
    return (rows.t() @ x.to(rows.dtype).flatten(0, -2)).to(weight.dtype)


def _bias_gradient(gradient: Tensor, weight: Tensor) -> Tensor:
    return gradient.flatten(0, -2).sum(dim=0).to(weight.dtype)


class _Linear(Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        kept = _short(x)[0] if context.needs_input_grad[1] else None
        context.dtype = x.dtype
        context.save_for_backward(kept, weight)
        return _multiply(x if kept is None else kept, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, weight) = gradients, context.saved_tensors
        wanted = context.needs_input_grad
        return (
            _input_gradient(gradient, weight).to(context.dtype) if wanted[0] else None,
            _weight_gradient(gradient, x, weight) if wanted[1] else None,
            _bias_gradient(gradient, weight) if wanted[2] else None,
        )


class _GeluLinear(Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        (wide,) = _short(functional.gelu(x))
        context.save_for_backward(x, None if _choice.recompute else wide, weight)
        return _multiply(wide, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, wide, weight) = gradients, context.saved_tensors
        before = _input_gradient(gradient, weight).to(x.dtype)
        return (
            torch.ops.aten.gelu_backward(before, x),
            _weight_gradient(gradient, functional.gelu(x) if wide is None else wide, weight),
            _bias_gradient(gradient, weight),
        )


class _NormLinear(Function):
    @staticmethod
    def forward(
        context: Any, x: Tensor, scale: Tensor, shift: Tensor, eps: float, weight: Tensor, bias: Tensor
    ) -> Tensor:
        normed, mean, deviation = torch.native_layer_norm(x, scale.shape, scale, shift, eps)
        (normed,) = _short(normed)
        context.save_for_backward(x, None if _choice.recompute else normed, scale, shift, mean, deviation, weight)
        context.eps = eps
        return _multiply(normed, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, normed, scale, shift, mean, deviation, weight) = gradients, context.saved_tensors
        if normed is None:
            normed = torch.native_layer_norm(x, scale.shape, scale, shift, context.eps)[0]
        of_weight = _weight_gradient(gradient, normed, weight)
        del normed
        before = _input_gradient(gradient, weight).to(x.dtype)
        of_x, of_scale, of_shift = torch.ops.aten.native_layer_norm_backward(
            before, x, scale.shape, mean, deviation, scale, shift, [True, True, True]
        )
        return of_x, of_scale, of_shift, None, of_weight, _bias_gradient(gradient, weight)
