"""Which objectives help: contrast (VTC) and matching (VTM) beside MVM and MLM, and no pre-training at all."""

from sweeps.definition import BASE, NO_PRETRAINING, Point, Sweep

SWEEP = Sweep(
    title="Objectives of pre-training",
    axes=("objective.vtc", "objective.vtm", "pretrain.length"),
    points=lambda base: [  # noqa: ARG005
        BASE,
        Point("MVM+MLM+VTC", {"objective.vtm": 0.0}),
        Point("MVM+MLM+VTM", {"objective.vtc": 0.0}),
        Point("MVM+MLM", {"objective.vtc": 0.0, "objective.vtm": 0.0}),
        NO_PRETRAINING,
    ],
)
