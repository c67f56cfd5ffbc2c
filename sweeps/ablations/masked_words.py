"""Whether masked words stay in the encoder as [MASK], or leave it as masked tubes do."""

from sweeps.definition import Sweep, choices

SWEEP = Sweep(
    title="Masked words kept in the encoder or dropped",
    axes=("mask.words",),
    points=choices("mask.words", ("kept", "dropped")),
)
