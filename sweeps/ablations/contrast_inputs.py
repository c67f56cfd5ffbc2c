"""Whether the contrast sees masked clips and captions, or whole ones as retrieval does."""

from sweeps.definition import Sweep, choices, distinct

SWEEP = Sweep(
    title="Video-text contrast on masked or clean inputs",
    axes=("objective.contrast",),
    points=lambda base: distinct(choices("objective.contrast", ("masked", "clean")), base),
)
