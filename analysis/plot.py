"""`python analysis/plot.py results/`: figures/<sweep>.png (.pdf, .svg), with -cost and -learning beside it.

The caption of a figure is in NAME.txt beside it; analysis/document.py puts it into LaTeX. For a paper:
`--style cvpr --width column --format pdf`. With --metric R@5 or --direction video_to_text the names end in -R5, -v2t.

pareto-<preset> shows R@1 of all rows of a preset's sweeps against the cost of a run; a search has -history,
-importance, -settings and, with several objectives, -front. With --against OTHER, each sweep is drawn over the same
sweep of another results folder instead.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__" and not __package__:  # run as a file: Python put analysis/ on the path, not the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis import cli
from analysis.figures import looks
from analysis.stats import metric, published
from analysis.stats.cost import add_option

if TYPE_CHECKING:
    from analysis.runs.load import Collection
    from analysis.runs.schema import Sweep


def show(arguments: argparse.Namespace, collection: Collection, sweeps: Sequence[Sweep]) -> int:
    """Draws every chosen sweep and search; returns how many have nothing to show yet."""
    from analysis import draw  # matplotlib, half a second: not for --help

    return draw.show(arguments, collection, sweeps)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("python analysis/plot.py", str(__doc__))
    parser.add_argument("--against", type=Path, metavar="OTHER", help="another results folder, drawn over this one")
    parser.add_argument("--format", action="append", choices=looks.FORMATS, help="only this format; repeatable")
    add_option(parser)
    looks.add_options(parser)
    metric.add_options(parser)
    published.add_option(parser)
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write them (figures/ in the folder)")
    return cli.run(parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
