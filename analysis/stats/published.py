"""The paper's published figures, only those that were verified, and the rows of ours that they correspond to."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simvtp.config.file_digests import split
from simvtp.config.presets import preset
from simvtp.config.schema import FIELDS, completed, flatten

if TYPE_CHECKING:
    from analysis.runs.schema import Run

LABEL = "paper: MSR-VTT 1k-A, WebVid-2M, ViT-B"
SOURCE = (
    "SimVTP, text-to-video: R@1 53.6, and 43.8 with 10% of WebVid-2M, in the abstract of arXiv 2212.03490; R@5 82.8, "
    "R@10 90.8, MdR 1 in the README of the released code, where the authors' own repository has 81.9, 90.7 and MdR 3, "
    "which R@1 53.6 rules out"
)
CAUTION = "whether its epoch was chosen on the test set is not known"


@dataclass(frozen=True)
class Published:
    """Text-to-video, percent (MdR: rank); only what was published and verified."""

    fraction: float
    metrics: Mapping[str, float]


PUBLISHED = (
    Published(1.0, {"R@1": 53.6, "R@5": 82.8, "R@10": 90.8, "MdR": 1.0}),
    Published(0.1, {"R@1": 43.8}),
)

PRESET = "base"
GALLERY = 1000  # videos of MSR-VTT 1k-A
WEBVID_2M = 3_000_000  # videos that its list stays below, and WebVid-10M does not
_FREE = ("model.init", "model.positions", "model.words", "model.text_mean")  # of the model, yet of no other method
# Settings that the published rows have in common: the method at the paper's best point.
_SETTING = {
    key: value
    for key, value in flatten(preset(PRESET)).items()
    if FIELDS[key].section in ("mask", "objective", "model") and key not in _FREE
}
# What the published rows differ in; a row of ours that departs from its base in more is none of them.
VARIED = frozenset({"data.fraction"})


def add_option(parser: argparse.ArgumentParser) -> None:
    """The switch of commands that show published figures."""
    parser.add_argument("--no-published", dest="published", action="store_false",
                        help="leave the paper's published figures out")  # fmt: skip


def published(config: Mapping[str, Any], preset_name: str, runs: Iterable[Run]) -> Published | None:
    """The published figures that may stand beside finished runs; None if something does not correspond.

    config: flat, of the row. preset_name: of the sweep. Corpora, split, gallery, number of pre-training videos, preset
    and the settings of model, masks and objectives must be those of the paper.
    """
    config, done = completed(config), list(runs)
    fraction = config.get("data.fraction")
    if preset_name != PRESET or not done or any(config.get(key) != value for key, value in _SETTING.items()):
        return None
    if str(config.get("pretrain.length", "")).startswith("0 ") or not _is_on_the_papers_corpora(config):
        return None
    row = next((row for row in PUBLISHED if row.fraction == fraction), None)
    return row if row is not None and all(_is_tested_alike(run, row) for run in done) else None


def _is_on_the_papers_corpora(config: Mapping[str, Any]) -> bool:
    """WebVid as downloaded, and MSR-VTT with the 1000 pairs of 1k-A, each caption by itself."""
    pretrain, finetune = (split(str(config.get(f"data.{stage}", "")))[0] for stage in ("pretrain", "finetune"))
    standard = finetune.partition("?")[2]
    return (
        pretrain.startswith("webvid:")
        and finetune.startswith("msrvtt:")
        and standard in ("", "split=1k-A", "split=9k")  # one training list, one test
        and config.get("data.queries") == "caption"
    )


def _is_tested_alike(run: Run, row: Published) -> bool:
    videos: Any = run.corpus.get("pretrain_videos")
    return run.metric("gallery") == GALLERY and isinstance(videos, int) and 0 < videos < WEBVID_2M * row.fraction
