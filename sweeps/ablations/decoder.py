"""How large the pixel decoder should be: half and twice as wide, half and twice as deep."""

from simvtp.config.schema import Config
from sweeps.definition import Point, Sweep, choices


def points(base: Config) -> list[Point]:
    """Raises ConfigError, through the plan, where a width does not go with the heads."""
    width, depth = base.model.decoder_width, base.model.decoder_depth
    widths = choices("model.decoder_width", (width // 2, width * 2))
    return [*widths, *choices("model.decoder_depth", (max(1, depth // 2), depth * 2, depth * 4))]


SWEEP = Sweep(
    title="Width and depth of the pixel decoder",
    axes=("model.decoder_width", "model.decoder_depth"),
    points=points,
)
