"""Published figures: which there are, beside which runs they stand, and the switch that leaves them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import plot, report, table
from analysis.runs.load import load
from analysis.stats import published
from analysis.stats.summary import summarise
from tests.analysis.folders import Builder

CORPORA = {"data.pretrain": "webvid:/d/webvid#0123456789abcdef", "data.finetune": "msrvtt:/d/msrvtt#fedcba9876543210"}
VIDEOS = 2_490_000


def shown(
    folder: Path, changes: dict[str, str], *, name: str = "base", gallery: int = 1000, videos: int = VIDEOS
) -> list[float]:
    """R@1 of the paper beside the rows of a sweep over the share of the data: 10, 25, 50, 100%."""
    Builder(folder, name, queries=gallery, changes=changes, videos=videos).sweep("data_fraction")
    collection = load(folder)
    rows = summarise(collection.sweeps[0], collection).rows
    assert len(rows) == 4
    return [row.published.metrics["R@1"] if row.published else 0.0 for row in rows]


def test_published_figures_are_those_of_the_paper_and_no_others() -> None:
    assert [(row.fraction, dict(row.metrics)) for row in published.PUBLISHED] == [
        (1.0, {"R@1": 53.6, "R@5": 82.8, "R@10": 90.8, "MdR": 1.0}),
        (0.1, {"R@1": 43.8}),
    ]


@pytest.mark.parametrize(
    "changes",
    [{}, {"data.finetune": "msrvtt:/d/msrvtt?split=9k#fedcba9876543210"}, {"pretrain.length": "100 epochs"},
     {"model.text_mean": "padded"}],
)  # fmt: skip
def test_they_stand_beside_base_on_the_papers_corpora(tmp_path: Path, changes: dict[str, str]) -> None:
    assert shown(tmp_path, CORPORA | changes) == [43.8, 0.0, 0.0, 53.6]


@pytest.mark.parametrize(
    "changes",
    [
        {"data.pretrain": "csv:/d/clips.csv#0123456789abcdef"},
        {"data.finetune": "csv:/d/clips.csv#0123456789abcdef"},
        {"data.finetune": "msrvtt:/d/msrvtt?split=full#fedcba9876543210"},
        {"data.finetune": "msrvtt:/d/msrvtt?split=7k#fedcba9876543210"},
        {"data.finetune": "didemo:/d/didemo#fedcba9876543210"},
        {"data.queries": "paragraph"},
        {"mask.video": "0.75"},
        {"mask.kind": "random"},
        {"mask.decoded": "0.5"},
        {"objective.vtm": "0"},
        {"objective.learn_temperature": "on"},
        {"model.towers": "shared"},
        {"model.depth": "6"},
    ],
)
def test_they_stand_beside_nothing_else(tmp_path: Path, changes: dict[str, str]) -> None:
    assert shown(tmp_path, CORPORA | changes) == [0.0] * 4


def test_preset_gallery_and_size_of_the_corpus_count_too(tmp_path: Path) -> None:
    assert shown(tmp_path / "small", CORPORA, name="small") == [0.0] * 4
    assert shown(tmp_path / "gallery", CORPORA, gallery=990) == [0.0] * 4
    assert shown(tmp_path / "10M", CORPORA, videos=10_700_000) == [0.0] * 4
    assert shown(tmp_path / "unknown", CORPORA, videos=0) == [0.0] * 4


def test_a_row_that_is_not_finished_has_none(tmp_path: Path) -> None:
    Builder(tmp_path, "base", queries=1000, changes=CORPORA, videos=VIDEOS).sweep("data_fraction", unfinished=[(0, 0)])
    collection = load(tmp_path)
    rows = summarise(collection.sweeps[0], collection).rows
    assert [bool(row.published) for row in rows] == [False, False, False, True]


def test_the_conflict_of_the_sources_is_named_and_a_switch_leaves_all_out(tmp_path: Path) -> None:
    Builder(tmp_path, "base", queries=1000, changes=CORPORA, videos=VIDEOS).sweep("data_fraction")
    name = "data_fraction-base"
    for switch, there in (((), True), (("--no-published",), False)):
        assert table.main([str(tmp_path), *switch]) == 0
        text = (tmp_path / "tables" / f"{name}.md").read_text()
        assert (" 53.6 " in text) == there
        assert ("81.9, 90.7 and MdR 3" in text) == there
        assert plot.main([str(tmp_path), "--format", "svg", *switch]) == 0
        assert ("2212.03490" in (tmp_path / "figures" / f"{name}.txt").read_text()) == there
        assert report.main([str(tmp_path), *switch]) == 0
        assert ("53.6" in (tmp_path / "report.html").read_text()) == there
