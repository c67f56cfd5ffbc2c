"""How much data: nested shares of the pre-training corpus, at equal steps."""

from sweeps.definition import Sweep, choices

SWEEP = Sweep(
    title="Share of the pre-training videos, nested, at equal steps",
    axes=("data.fraction",),
    points=choices("data.fraction", (0.10, 0.25, 0.50, 1.00)),
)
