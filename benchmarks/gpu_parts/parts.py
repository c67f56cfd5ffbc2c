"""The parts of `make gpu`, in their order, and what each may take of the time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """modules: of this folder, whose CHECKS are run in this order. share: of the whole time; 0: all that is left."""

    title: str
    modules: tuple[str, ...]
    share: float


PARTS = {
    "correctness": Part("Correctness against the CPU", ("correctness", "waiting", "training"), 0.14),
    "step": Part("A step of preset base", ("base_step",), 0.26),
    "loader": Part("From files to the device", ("data_loading",), 0.1),
    "sweep": Part("The claims sweep of preset small", ("claims_sweep",), 0),
}
