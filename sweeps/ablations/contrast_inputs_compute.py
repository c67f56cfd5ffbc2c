"""Contrast on masked or clean inputs at equal compute: clean inputs cost more a step, and get fewer steps."""

from sweeps.definition import Sweep, at_equal_compute, choices

SWEEP = Sweep(
    title="Video-text contrast on masked or clean inputs, at equal compute",
    axes=("objective.contrast",),
    points=lambda base: at_equal_compute(choices("objective.contrast", ("masked", "clean")), base),
)
