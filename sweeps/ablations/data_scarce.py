"""How little data is too little: nested shares far below the paper's 10%, at equal steps."""

from sweeps.definition import Sweep, curve, distinct

SWEEP = Sweep(
    title="Shares of the pre-training videos far below a tenth, nested, at equal steps",
    axes=("data.fraction",),
    points=lambda base: distinct(curve("data.fraction", (0.01, 0.02, 0.05, 1.00)), base),
)
