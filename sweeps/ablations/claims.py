"""The claims of the paper's abstract, a point or two each: one table, one family of comparisons.

Video mask ratios at equal steps and, where a label says so, at equal compute; data at equal steps and at equal epochs;
no pre-training as it is and with the FLOP of pre-training spent on longer fine-tuning. Lengths are to be in steps.
"""

from dataclasses import replace

from simvtp.config.schema import Config
from sweeps.definition import NO_PRETRAINING, Point, Sweep, all_in_finetuning, at_equal_compute, choices

_VIDEO = choices("mask.video", (0.50, 0.75))


def _points(base: Config) -> list[Point]:
    length = f"{int(base.pretrain.length.partition(' ')[0]) // 10} steps"
    at_compute = [*at_equal_compute(_VIDEO, base), all_in_finetuning(base)]
    return [
        *_VIDEO,
        *choices("mask.text", (0.15, 0.50)),
        Point("no VTM", {"objective.vtm": 0.0}),
        Point("no VTC", {"objective.vtc": 0.0}),
        Point("no VTC, no VTM", {"objective.vtc": 0.0, "objective.vtm": 0.0}),
        *choices("data.fraction", (0.10,)),
        NO_PRETRAINING,
        *(replace(point, label=f"{point.label}, equal compute") for point in at_compute),
        Point("data 10%, equal epochs", {"data.fraction": 0.1, "pretrain.length": length}),
    ]


SWEEP = Sweep(
    title="The paper's claims: mask ratios, objectives, data, pre-training",
    axes=("mask.video", "mask.text", "objective.vtc", "objective.vtm", "data.fraction", "pretrain.length",
          "finetune.length"),
    points=_points,
)  # fmt: skip
