"""The video mask ratio at equal compute: cheaper steps, more of them, the same FLOP of pre-training as the base."""

from simvtp.config import Config, override
from simvtp.cost import pretrain_gflop
from simvtp.validation import ConfigError
from sweeps.definition import BASE, Point, Sweep
from sweeps.mask_ratio import VIDEO


def points(base: Config) -> list[Point]:
    """Raises ConfigError where the base's length is given in epochs, whose steps depend on the corpus."""
    number, _, unit = base.pretrain.length.partition(" ")
    if not unit.startswith("step"):
        raise ConfigError(f'pretrain.length: equal compute needs a length in steps, not "{base.pretrain.length}"')
    found = [BASE]
    for ratio in VIDEO:
        if ratio != base.mask.video:
            cost = pretrain_gflop(override(base, {"mask.video": ratio})) / pretrain_gflop(base)
            length = f"{round(int(number) / cost)} steps"
            found.append(Point(f"video {ratio:.0%}", {"mask.video": ratio, "pretrain.length": length}))
    return found


SWEEP = Sweep(title="Video mask ratio at equal compute", axes=("mask.video",), points=points)
