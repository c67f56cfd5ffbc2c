"""The retrieval metric of the test by which a summary compares rows."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from analysis.runs.schema import DIRECTIONS, Run

RECALLS = {"R@1": 1, "R@5": 5, "R@10": 10}


@dataclass(frozen=True)
class Metric:
    """Recall at `first`, in percent, of one direction: a share of queries, so that its intervals are exact.

    direction: text_to_video (a caption finds its video) or video_to_text.
    """

    first: int = 1
    direction: str = DIRECTIONS[0]

    @property
    def name(self) -> str:
        """Such as 'R@1'."""
        return f"R@{self.first}"

    @property
    def label(self) -> str:
        """Such as 'R@1, text-to-video (%)', of an axis."""
        return f"{self.name}, {self.direction.replace('_', '-')} (%)"

    @property
    def short(self) -> str:
        """Such as 'R@1 (%)', of an axis without room for more."""
        return f"{self.name} (%)"

    @property
    def words(self) -> str:
        """Such as 'R@1 (text-to-video)', in a sentence."""
        return f"{self.name} ({self.direction.replace('_', '-')})"

    @property
    def suffix(self) -> str:
        """What the file of a figure is told apart by; '' for R@1 of text-to-video."""
        ways = "" if self.direction == DIRECTIONS[0] else "-v2t"
        return f"{'' if self.first == 1 else f'-R{self.first}'}{ways}"

    def of(self, run: Run, split: str = "test") -> float:
        """Percent; NaN if the run has no such split."""
        return run.metric(self.name, self.direction, split)


R1 = Metric()


def add_options(parser: argparse.ArgumentParser) -> None:
    """--metric and --direction; `of_arguments` reads them."""
    parser.add_argument("--metric", choices=RECALLS, default="R@1", help="what figures show and compare (R@1)")
    parser.add_argument("--direction", choices=DIRECTIONS, default=DIRECTIONS[0], help="of retrieval (text_to_video)")


def of_arguments(arguments: argparse.Namespace) -> Metric:
    """The metric that a command line asks for."""
    return Metric(RECALLS[arguments.metric], arguments.direction)
