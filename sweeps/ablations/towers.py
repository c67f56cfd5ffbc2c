"""Whether videos and texts need encoders of their own after pre-training with one."""

from sweeps.definition import Sweep, choices

SWEEP = Sweep(
    title="Separate or shared encoders in fine-tuning",
    axes=("model.towers",),
    points=choices("model.towers", ("separate", "shared")),
)
