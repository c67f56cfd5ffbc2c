"""Whether the contrast sees masked clips and captions, or whole ones as retrieval does."""

from sweeps.definition import Sweep, choices

SWEEP = Sweep(
    title="Video-text contrast on masked or clean inputs",
    axes=("objective.contrast",),
    points=choices("objective.contrast", ("masked", "clean")),
)
