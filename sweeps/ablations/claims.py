"""One point for each claim of the paper, few enough to be tried again at another length, corpus or size.

Such as `python sweeps/run.py claims --set pretrain.length="1600 steps" --set pretrain.warmup="160 steps"`.
"""

from sweeps.definition import NO_PRETRAINING, Point, Sweep, choices

SWEEP = Sweep(
    title="The paper's claims, a point each: much masking, matching, data, pre-training",
    axes=("mask.video", "mask.text", "objective.vtm", "data.fraction", "pretrain.length"),
    points=[
        *choices("mask.video", (0.75,)),
        *choices("mask.text", (0.15,)),
        Point("no VTM", {"objective.vtm": 0.0}),
        *choices("data.fraction", (0.10,)),
        NO_PRETRAINING,
    ],
)
