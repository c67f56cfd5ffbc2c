"""How the objectives are weighed against each other: each at half and at twice its weight."""

from simvtp.config.schema import Config, flatten
from sweeps.definition import Point, Sweep, choices

WEIGHTS = tuple(f"objective.{name}" for name in ("mvm", "mlm", "vtc", "vtm"))


def points(base: Config) -> list[Point]:
    own = flatten(base)
    return [point for key in WEIGHTS for point in choices(key, (own[key] / 2, own[key] * 2))]


SWEEP = Sweep(title="Weights of the objectives", axes=WEIGHTS, points=points)
