"""How little data is too little: nested shares far below the paper's 10%, at equal steps."""

from sweeps.definition import Sweep, choices

SWEEP = Sweep(
    title="Shares of the pre-training videos far below a tenth, nested, at equal steps",
    axes=("data.fraction",),
    points=choices("data.fraction", (0.01, 0.02, 0.05, 1.00)),
)
