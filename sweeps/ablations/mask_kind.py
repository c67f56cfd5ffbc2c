"""What shape of video mask: the same places at all times, whole moments, or anything."""

from sweeps.definition import Sweep, choices

SWEEP = Sweep(
    title="Kind of video mask",
    axes=("mask.kind",),
    points=choices("mask.kind", ("tube", "frame", "random")),
)
