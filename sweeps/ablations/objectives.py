"""Which objectives help: contrast (VTC) and matching (VTM) beside MVM and MLM, and no pre-training at all."""

from simvtp.config.schema import Config, flatten
from sweeps.definition import NO_PRETRAINING, Point, Sweep

OFF = ({"objective.vtm": 0.0}, {"objective.vtc": 0.0}, {"objective.vtc": 0.0, "objective.vtm": 0.0})


def points(base: Config) -> list[Point]:
    """Each point is named after the objectives that are on in it, whatever --set switched off in the base."""
    found = []
    for off in OFF:
        weights = flatten(base) | off
        on = [name.upper() for name in ("mvm", "mlm", "vtc", "vtm") if weights[f"objective.{name}"]]
        found.append(Point("+".join(on) or "no objective", off))
    return [*found, NO_PRETRAINING]


SWEEP = Sweep(
    title="Objectives of pre-training",
    axes=("objective.vtc", "objective.vtm", "pretrain.length"),
    points=points,
)
