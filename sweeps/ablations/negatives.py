"""Which mismatched videos matching is trained on: any, or such that are hard to tell from the right one."""

from sweeps.definition import Sweep, choices

SWEEP = Sweep(
    title="Random or hard negatives of video-text matching",
    axes=("objective.negatives",),
    points=choices("objective.negatives", ("random", "hard")),
)
