"""Whether the best text mask ratio falls with the redundancy of captions (embedded corpus alone)."""

from simvtp.config.schema import Config
from sweeps.definition import Point, Sweep, choices, on_corpora, with_option

# How often a caption names each attribute.
OPTIONS = ("mentions=2", "mentions=1")


def _points(base: Config) -> list[Point]:
    corpora = {
        option.replace("=", " "): {
            "data.pretrain": with_option(base.data.pretrain, option),
            "data.finetune": with_option(base.data.finetune, option),
        }
        for option in OPTIONS
    }
    return on_corpora(corpora, choices("mask.text", (0.15, 0.50)))


SWEEP = Sweep(
    title="Text mask ratio by the redundancy of captions", axes=("data.finetune", "mask.text"), points=_points
)
