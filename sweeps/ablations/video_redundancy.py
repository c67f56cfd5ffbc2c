"""Whether the best video mask ratio falls with the redundancy of the video (embedded corpus alone)."""

from simvtp.config.schema import Config
from sweeps.definition import Point, Sweep, choices, on_corpora, with_option

# The share of a frame that shows what captions tell; the rest are still panels.
OPTIONS = ("share=0.7", "share=0.4")


def _points(base: Config) -> list[Point]:
    corpora = {
        option.replace("=", " "): {
            "data.pretrain": with_option(base.data.pretrain, option),
            "data.finetune": with_option(base.data.finetune, option),
        }
        for option in OPTIONS
    }
    return on_corpora(corpora, choices("mask.video", (0.50, 0.75)))


SWEEP = Sweep(
    title="Video mask ratio by the redundancy of the video", axes=("data.finetune", "mask.video"), points=_points
)
