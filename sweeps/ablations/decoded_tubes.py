"""How many of the masked tubes need decoding: VideoMAE V2 decodes half of them."""

from sweeps.definition import Sweep, choices

SWEEP = Sweep(
    title="Share of the masked tubes that is decoded",
    axes=("mask.decoded",),
    points=choices("mask.decoded", (0.25, 0.50, 0.75, 1.00)),
)
