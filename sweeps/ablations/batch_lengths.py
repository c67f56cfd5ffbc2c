"""Whether the captions of a batch may be of any length, or of like length, which saves padding."""

from sweeps.definition import Sweep, choices

SWEEP = Sweep(
    title="Batches of captions of any or of like length",
    axes=("data.order",),
    points=choices("data.order", ("shuffled", "lengths")),
)
