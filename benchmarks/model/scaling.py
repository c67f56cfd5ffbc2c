"""`python benchmarks/model/scaling.py`: a step of pre-training against mask ratio, frames, batch and processes.

One row for each change to the preset. `predicted` is the cost by the number of tokens (`simvtp/models/flops.py`) as a
multiple of the preset's own; `measured` is the multiple of its seconds, as the median over turns in which all configs
of an axis step one after another. Processes: one batch shared by two that train together, and two jobs side by side,
compared with one process doing the same work. All of this for `tiny`; for `small`, whose matrix products are large
enough to fill a core, the mask ratio only.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.model.step import BATCHES, Child, config_of
from benchmarks.report import markdown, print_environment
from simvtp.models.flops import pretrain_gflop

AXES: dict[str, Mapping[str, Sequence[str]]] = {
    "mask ratio": {f"{ratio:g}": [f"mask.video={ratio}"] for ratio in (0.0, 0.25, 0.5, 0.75, 0.95)},
    "frames": {str(frames): [f"model.frames={frames}"] for frames in (4, 16)},
    "batch": {share: [f"batch x {share}"] for share in ("1/4", "1/2", "2")},
}
# preset -> samples a step, turns, and what is changed
SIZES = {"tiny": (BATCHES["tiny"], 12, tuple(AXES)), "small": (4, 4, ("mask ratio",)), "base": (2, 3, ("mask ratio",))}
Row = dict[str, str]


def batch_of(change: str, batch: int) -> int:
    """ "1/4" or "2" of a batch."""
    above, _, below = change.partition("/")
    return batch * int(above) // int(below or 1)


def measure(preset: str, kind: str, axis: str, whole: int, turns: int) -> list[Row]:
    """The preset itself, `whole` samples a step, and the changes of one axis, in turns."""
    points = {"preset's": (whole, list[str]())}
    for name, assignments in AXES[axis].items():
        points[name] = (batch_of(name, whole), []) if axis == "batch" else (whole, list(assignments))
    children = {name: Child(kind, preset, *point) for name, point in points.items()}
    for child in children.values():
        child.losses()
    for _ in range(turns):
        for child in children.values():
            child.tell("step")
    own = children["preset's"].said["step"]
    rows = []
    for name, child in children.items():
        config = config_of(preset, *points[name])
        predicted = pretrain_gflop(config) / pretrain_gflop(config_of(preset, *points["preset's"]))
        measured = statistics.median(c / o for c, o in zip(child.said["step"], own, strict=True))
        child.tell("peak")
        cost = child.end()
        rows.append(row(preset, f"{axis} {name}", cost, predicted, measured))
    return rows


def row(preset: str, change: str, cost: Mapping[str, float], predicted: float, measured: float) -> Row:
    return {
        "preset": preset,
        "change": change,
        "ms a step": f"{1000 * cost['step']:.0f}",
        "peak GB": f"{cost['peak']:.2f}",
        "predicted": f"{predicted:.2f}x",
        "measured": f"{measured:.2f}x",
        "off by": f"{100 * (measured / predicted - 1):+.0f}%",
    }


def processes(preset: str, kind: str, turns: int) -> list[Row]:
    """Two processes that share one batch, and two jobs with a batch each, against one process."""
    batch, threads = BATCHES[preset], ["machine.threads=1"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    places = [
        {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
         "MASTER_PORT": port} for number in range(2)
    ]  # fmt: skip
    alone, together = Child(kind, preset, batch, threads), [Child(kind, preset, batch, threads, p) for p in places]
    jobs = [Child(kind, preset, batch, threads) for _ in range(2)]
    for child in (alone, *together, *jobs):
        child.losses()
    for _ in range(turns):
        alone.tell("step")
        for pair in (together, jobs):
            for child in pair:
                child.ask("step")
            for child in pair:
                child.answer("step")
    gains, rows = {}, []
    for name, pair, work in (("1 process", [alone], 1), ("2 processes, one batch", together, 1),
                             ("2 jobs, side by side", jobs, 2)):  # fmt: skip
        slowest = [max(turn) for turn in zip(*(child.said["step"] for child in pair), strict=True)]
        gains[name] = statistics.median(
            work * one / mine for one, mine in zip(alone.said["step"], slowest, strict=True)
        )
        peak = sum(child.tell("peak") for child in pair)
        rows.append({
            "preset": f"{preset}, 1 thread each", "processes": name,
            "ms a step": f"{1000 * statistics.median(slowest):.0f}",
            "peak GB, all": f"{peak:.2f}", "work done against 1 process": f"{gains[name]:.2f}x",
        })  # fmt: skip
    for child in (alone, *together, *jobs):
        child.end()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", action="append", dest="presets", choices=SIZES, help="again for more (tiny, small)")
    parser.add_argument("--bf16", action="store_true", help="steps in bf16 instead of fp32")
    arguments = parser.parse_args()
    kind = "ours bf16" if arguments.bf16 else "ours fp32"
    print_environment()
    rows = []
    for preset in arguments.presets or ["tiny", "small"]:
        batch, turns, axes = SIZES[preset]
        rows += [row for axis in axes for row in measure(preset, kind, axis, batch, turns)]
    print(markdown(rows), end="\n\n", flush=True)
    print(markdown(processes("tiny", kind, SIZES["tiny"][1])))


if __name__ == "__main__":
    main()
