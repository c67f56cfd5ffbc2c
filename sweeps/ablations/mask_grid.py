"""Whether the two mask ratios interact: their full product."""

from sweeps.ablations.mask_ratio import TEXT, VIDEO
from sweeps.definition import Sweep, grid

SWEEP = Sweep(
    title="Every video mask ratio with every text mask ratio",
    axes=("mask.video", "mask.text"),
    points=grid({"mask.video": VIDEO, "mask.text": TEXT}),
)
