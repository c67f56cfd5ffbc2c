"""Whether the two mask ratios interact: their full product."""

from sweeps.definition import Sweep, distinct, grid
from sweeps.mask_ratio import TEXT, VIDEO

SWEEP = Sweep(
    title="Every video mask ratio with every text mask ratio",
    axes=("mask.video", "mask.text"),
    points=lambda base: distinct(grid({"mask.video": VIDEO, "mask.text": TEXT}), base),
)
