"""Part (a), the model: losses and gradients on the device against the CPU, with every option.

The CPU in fp32 is the reference: it is what the tests compare with independent implementations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from benchmarks.gpu_parts.checks import Check, Row, Scale
from benchmarks.gpu_parts.workload import Workload, config_for, free_memory, relative

# Largest relative difference of a loss and of all gradients together (their length as one vector).
LOSS_LIMIT = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
GRADIENT_LIMIT = {torch.float32: 1e-3, torch.bfloat16: 0.15}

ONLY = {"objective.mvm": 0.0, "objective.mlm": 0.0, "objective.vtc": 0.0, "objective.vtm": 0.0}
OPTIONS: dict[str, dict[str, Any]] = {
    "MVM alone": {**ONLY, "objective.mvm": 1.0},
    "MLM alone": {**ONLY, "objective.mlm": 1.0},
    "VTC alone": {**ONLY, "objective.vtc": 1.0},
    "VTM alone": {**ONLY, "objective.vtm": 1.0},
    "all four, tube masks": {},
    "frame masks": {"mask.kind": "frame"},
    "random masks": {"mask.kind": "random"},
    "nothing masked": {"mask.video": 0.0, "mask.text": 0.0},
    "masked words dropped": {"mask.words": "dropped"},
    "half of the tubes decoded": {"mask.decoded": 0.5},
    "clean contrast": {"objective.contrast": "clean"},
    "hard negatives": {"objective.negatives": "hard"},
    "learned temperature": {"objective.learn_temperature": True},
}


def compare(scale: Scale, name: str, batch: int, ways: Sequence[tuple[torch.dtype, bool]]) -> Iterator[Row]:
    """Losses and gradients of one preset on the device in each way, against fp32 on the CPU.

    ways: the precision, and whether the encoder uses variable-length attention.
    """
    config = config_for(scale, name, batch)
    reference = Workload(config, "cpu", optimizer=False)
    wanted = {key: float(value.detach()) for key, value in reference.losses().items()}
    reference.backward()
    gradients = reference.gradients()
    whole = torch.cat([gradient.flatten() for gradient in gradients.values()])
    for dtype, varlen in ways:
        workload = Workload(config, scale.device, optimizer=False)
        workload.model.encoder.varlen = varlen
        losses = {key: float(value.detach()) for key, value in workload.losses(dtype).items()}
        workload.backward(dtype)
        computed = workload.gradients()
        apart = max(abs(losses[key] - value) / abs(value) for key, value in wanted.items())
        total = relative(torch.cat([computed[key].flatten() for key in gradients]), whole)
        worst = max(gradients, key=lambda key: relative(computed[key], gradients[key]))
        ok = computed.keys() == gradients.keys() and apart < LOSS_LIMIT[dtype] and total < GRADIENT_LIMIT[dtype]
        yield {
            "preset": name, "way": str(dtype).removeprefix("torch.") + ", varlen attention" * varlen,
            "losses differ by": f"{apart:.1e}",
            "gradients differ by": f"{total:.1e}", "worst tensor": worst,
            "it differs by": f"{relative(computed[worst], gradients[worst]):.1e}", "ok": "yes" if ok else "no",
        }  # fmt: skip
        del workload
        free_memory()


def models(scale: Scale) -> Iterator[Row]:
    ways = [(torch.float32, False), (torch.bfloat16, False)]
    if scale.device == "cuda":
        ways.append((torch.bfloat16, True))
    yield from compare(scale, "tiny", scale.batch, ways)
    yield from compare(scale, "base", scale.base_batch, ways)


def options(scale: Scale) -> Iterator[Row]:
    """One step with each option in fp32: the same losses as on the CPU, and weights that stay finite."""
    for name, changes in OPTIONS.items():
        config = config_for(scale, "tiny", scale.batch, changes)
        wanted = {key: float(value.detach()) for key, value in Workload(config, "cpu", False).losses().items()}
        workload = Workload(config, scale.device)
        computed = {key: float(value.detach()) for key, value in workload.losses().items()}
        apart = max(abs(computed[key] - value) / max(abs(value), 1e-6) for key, value in wanted.items())
        workload.step()
        finite = all(bool(parameter.isfinite().all()) for parameter in workload.model.parameters())
        losses = ", ".join(f"{key} {value:.4f}" for key, value in computed.items())
        ok = apart < LOSS_LIMIT[torch.float32] and finite
        yield {"option": name, "losses": losses, "differ by": f"{apart:.1e}", "ok": "yes" if ok else "no"}


CHECKS = (
    Check("losses and gradients against the CPU", 60, models),
    Check("one step with each option", 40, options),
)
