"""The retrieval metric of the test by which a summary compares rows, and which way is better."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.runs.metric_names import DIRECTIONS

if TYPE_CHECKING:
    from analysis.runs.schema import Run

RECALLS = {"R@1": 1, "R@5": 5, "R@10": 10}
RANKS = ("MdR", "MnR")


@dataclass(frozen=True)
class Metric:
    """A metric of one direction of retrieval.

    name: R@1, R@5 or R@10, percent of queries, higher is better; MdR or MnR, median and mean rank, lower is better.
    direction: text_to_video (a caption finds its video) or video_to_text.
    """

    name: str = "R@1"
    direction: str = DIRECTIONS[0]

    @property
    def is_rank(self) -> bool:
        """Whether it is a rank, of which less is better."""
        return self.name in RANKS

    def merit(self, value: float) -> float:
        """A number that is greater for better values."""
        return -value if self.is_rank else value

    @property
    def best(self) -> str:
        """'highest' or 'lowest'."""
        return "lowest" if self.is_rank else "highest"

    @property
    def unit(self) -> str:
        """Of differences: 'points' or 'ranks'."""
        return "ranks" if self.is_rank else "points"

    def show(self, value: float) -> str:
        """Such as '61.0%', or '3.5' of a rank."""
        return f"{value:.1f}" if self.is_rank else f"{value:.1f}%"

    @property
    def label(self) -> str:
        """Such as 'R@1, text-to-video (%)', of an axis."""
        unit = "rank, lower is better" if self.is_rank else "%"
        return f"{self.name}, {self.direction.replace('_', '-')} ({unit})"

    @property
    def short(self) -> str:
        """Such as 'R@1 (%)', of an axis without room for more."""
        return f"{self.name} ({'rank' if self.is_rank else '%'})"

    @property
    def words(self) -> str:
        """Such as 'R@1 (text-to-video)', in a sentence."""
        return f"{self.name} ({self.direction.replace('_', '-')}{'; lower is better' if self.is_rank else ''})"

    @property
    def suffix(self) -> str:
        """What the file of a figure is told apart by; '' for R@1 of text-to-video."""
        ways = "" if self.direction == DIRECTIONS[0] else "-v2t"
        return f"{'' if self.name == 'R@1' else '-' + self.name.replace('@', '')}{ways}"

    def of(self, run: Run, split: str = "test") -> float:
        """Percent or rank; NaN if the run has no such split."""
        return run.metric(self.name, self.direction, split)

    def chance(self, gallery: int) -> float:
        """The metric of guessing among that many videos."""
        return (gallery + 1) / 2 if self.is_rank else 100 * min(1.0, RECALLS[self.name] / gallery)


R1 = Metric()


def add_options(parser: argparse.ArgumentParser) -> None:
    """--metric and --direction; `of_arguments` reads them."""
    parser.add_argument("--metric", choices=(*RECALLS, *RANKS), default="R@1",
                        help="what figures show and compare (R@1); of MdR and MnR less is better")  # fmt: skip
    parser.add_argument("--direction", choices=DIRECTIONS, default=DIRECTIONS[0], help="of retrieval (text_to_video)")


def of_arguments(arguments: argparse.Namespace) -> Metric:
    """The metric that a command line asks for."""
    return Metric(arguments.metric, arguments.direction)
