"""`python analysis/reconstruct.py results/runs/ID`: masked clips and captions, reconstructed by a pre-trained model.

Writes figures/reconstruct-<run>-<video>.png and .gif beside the runs folder: original, masked and rebuilt frames at
several video mask ratios, and the caption with the model's predictions of its masked words.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__" and not __package__:  # run as a file: Python put analysis/ on the path, not the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from simvtp.cli import Parser, add_plugin_argument, boundary


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python analysis/reconstruct.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a run's folder, or its id")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="where an id is looked up")
    parser.add_argument("--split", default="test", help="of the fine-tuning corpus: train, val or test (test)")
    parser.add_argument("--clips", type=int, default=2, metavar="N", help="how many videos (2)")
    parser.add_argument("--ratio", type=float, action="append", help="video mask ratio; repeatable (.5 .75 .9 .95)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the pictures (the results' figures/)")
    add_plugin_argument(parser)
    chosen = parser.parse_args(arguments)

    def body() -> int:
        from analysis.draw_reconstruction import write_pictures  # torch and matplotlib, seconds: not for --help

        return write_pictures(chosen)

    return boundary(body)


if __name__ == "__main__":
    sys.exit(main())
