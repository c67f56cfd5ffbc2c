"""How much data: nested shares of the pre-training corpus, at equal steps."""

from sweeps.definition import Sweep, curve, distinct

SWEEP = Sweep(
    title="Share of the pre-training videos, nested, at equal steps",
    axes=("data.fraction",),
    points=lambda base: distinct(curve("data.fraction", (0.10, 0.25, 0.50, 1.00)), base),
)
