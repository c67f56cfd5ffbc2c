"""The video mask ratio at equal compute: cheaper steps, more of them, the same FLOP of pre-training as the base."""

from sweeps.ablations.mask_ratio import VIDEO
from sweeps.definition import Sweep, at_equal_compute, choices

SWEEP = Sweep(
    title="Video mask ratio at equal compute",
    axes=("mask.video",),
    points=lambda base: at_equal_compute(choices("mask.video", VIDEO), base),
)
