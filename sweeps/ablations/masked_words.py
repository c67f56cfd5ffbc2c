"""Whether masked words stay in the encoder as [MASK], or leave it as masked tubes do."""

from sweeps.definition import Sweep, choices, distinct

SWEEP = Sweep(
    title="Masked words kept in the encoder or dropped",
    axes=("mask.words",),
    points=lambda base: distinct(choices("mask.words", ("kept", "dropped")), base),
)
