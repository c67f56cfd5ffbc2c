"""`python analysis/report.py results/`: report.html, one file without network access, with all tables and figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__" and not __package__:  # run as a file: Python put analysis/ on the path, not the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis import cli
from analysis.stats import published
from analysis.stats.cost import add_option

if TYPE_CHECKING:
    from analysis.runs.load import Collection
    from analysis.runs.schema import Sweep


def show(arguments: argparse.Namespace, collection: Collection, sweeps: Sequence[Sweep]) -> int:
    """Writes the page; returns how many sweeps have nothing to show yet."""
    from analysis.html_report import page  # matplotlib, half a second: not for --help

    return page.show(arguments, collection, sweeps)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("python analysis/report.py", str(__doc__))
    add_option(parser)
    published.add_option(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write it (report.html in the folder)")
    return cli.run(parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
