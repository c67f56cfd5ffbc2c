"""Rows of a sweep: which seeds are compared, what a sentence may claim."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from analysis.runs.load import load
from analysis.stats import sentences
from analysis.stats.intervals import detectable, seeds_needed
from analysis.stats.summary import Summary, power_note, summarise
from simvtp.config.presets import TINY
from simvtp.config.schema import flatten, override
from tests.analysis.folders import Builder


def summary_of(folder: Path, name: str) -> Summary:
    results = load(folder)
    return summarise(next(sweep for sweep in results.sweeps if sweep.name == name), results)


def test_levels_are_means_over_seeds_of_the_stored_metric(tmp_path: Path) -> None:
    Builder(tmp_path).sweep("mask_ratio", seeds=(0, 1, 2))
    summary = summary_of(tmp_path, "mask_ratio")
    for row in summary.rows:
        stored = [run.metrics["test"]["text_to_video"]["R@1"] for run in row.runs.values()]
        assert row.level["text_to_video"].mean == pytest.approx(np.mean(stored), abs=1e-4)
        assert row.level["text_to_video"].deviation == pytest.approx(np.std(stored, ddof=1), abs=1e-3)
    assert summary.chance == pytest.approx(100 / 400)


def test_differences_pair_only_seeds_that_both_have(tmp_path: Path) -> None:
    Builder(tmp_path).sweep("mask_ratio", seeds=(0, 1, 2), unfinished=[(0, 1), (2, 0)])
    summary = summary_of(tmp_path, "mask_ratio")
    row, base = summary.rows[0], summary.base
    assert base is not None
    assert row.difference is not None
    assert list(row.runs) == [0, 2]
    assert list(base.runs) == [1, 2]
    assert row.difference.interval.seeds == 1
    assert row.difference.interval.mean == pytest.approx(
        row.runs[2].metric("R@1") - base.runs[2].metric("R@1"), abs=1e-4
    )


def test_a_row_on_another_corpus_is_compared_with_the_base_settings_there(tmp_path: Path) -> None:
    Builder(tmp_path).sweep("video_redundancy", seeds=(0, 1, 2))
    rows = summary_of(tmp_path, "video_redundancy").rows
    assert [row.difference is None for row in rows] == [True, False, False, True, False, False]
    for row, own in ((rows[2], rows[0]), (rows[4], rows[3]), (rows[5], rows[3])):
        assert row.difference is not None
        assert row.difference.interval.mean == pytest.approx(row.score() - own.score(), abs=1e-3)


def test_without_a_base_there_is_nothing_to_compare(tmp_path: Path) -> None:
    Builder(tmp_path).sweep("mask_ratio", unfinished=[(2, 0)])
    summary = summary_of(tmp_path, "mask_ratio")
    assert summary.base is None
    assert all(row.difference is None for row in summary.rows)
    assert sentences.against_base(summary.rows) == "nothing to compare yet"


def test_the_level_without_pretraining_comes_from_another_sweep(tmp_path: Path) -> None:
    builder = Builder(tmp_path)
    builder.sweep("mask_ratio")
    assert summary_of(tmp_path, "mask_ratio").unpretrained is None
    builder.sweep("objectives")
    row = summary_of(tmp_path, "mask_ratio").unpretrained
    assert row is not None
    assert [run.pretrain for run in row.runs.values()] == [None]


def test_the_level_without_pretraining_is_of_the_same_fine_tuning(tmp_path: Path) -> None:
    Builder(tmp_path).sweep("mask_ratio")
    Builder(tmp_path, preset="small").sweep("objectives")
    assert summary_of(tmp_path, "mask_ratio").unpretrained is None


def test_the_level_without_pretraining_is_of_the_seeds_and_the_settings_of_the_sweep(tmp_path: Path) -> None:
    builder = Builder(tmp_path)
    builder.sweep("objectives", seeds=(0, 1, 2))
    builder.sweep("mask_ratio", seeds=(0, 1))
    for changes in ({"seed": 1, "data.queries": "paragraph"}, {"seed": 1, "data.reader": "decord"}):
        builder.run(flatten(override(TINY, {"pretrain.length": "0 steps", **changes})), 40.0)
    row = summary_of(tmp_path, "mask_ratio").unpretrained
    assert row is not None
    assert list(row.runs) == [0, 1]
    assert all(run.config["data.queries"] == "caption" for run in row.runs.values())
    assert row.mean("R@1") < 20


def test_one_seed_claims_nothing(tmp_path: Path) -> None:
    Builder(tmp_path).sweep("objectives")
    summary = summary_of(tmp_path, "objectives")
    sentence = sentences.against_base(summary.rows)
    assert re.fullmatch(
        r"one seed, so no difference can be claimed of other seeds; on these queries \S.* is lower than the base by "
        r"[\d.]+ points and \S.* is lower than the base by [\d.]+ points",
        sentence,
    )
    alike = [row for row in summary.rows if not (row.difference and row.difference.on_queries)]
    assert sentences.against_base([*alike, summary.rows[2]]).startswith("one seed, so no difference can be claimed")
    assert "over 400 test queries only" in sentences.footnote(summary)
    assert power_note(summary) == ""


def test_the_number_of_seeds_is_that_of_the_corrected_table(tmp_path: Path) -> None:
    Builder(tmp_path).sweep("mask_ratio", seeds=range(4))
    summary = summary_of(tmp_path, "mask_ratio")
    gaps = [row.difference for row in summary.rows if row.difference]
    deviation = math.sqrt(np.mean([gap.interval.deviation**2 for gap in gaps]))
    shared = float(np.mean([gap.query_variance for gap in gaps]))
    note = power_note(summary)
    assert len(gaps) == 6
    assert f"4 seeds show a true difference of {detectable(4, deviation, shared, rows=6):.1f} points" in note
    assert "Holm-corrected over 6 rows" in note
    assert f"about {seeds_needed(3.0, deviation, shared, rows=6)} seeds" in note
    assert f"({seeds_needed(3.0, deviation, shared)} for a row that is tested alone)" in note


def test_a_clear_difference_is_said_in_words(tmp_path: Path) -> None:
    Builder(tmp_path, deviation=0.2).sweep("objectives", seeds=range(5))
    summary = summary_of(tmp_path, "objectives")
    sentence = sentences.against_base(summary.rows)
    gap = next(row.difference for row in summary.rows if row.label == "+VTM")
    assert gap is not None
    assert f"+VTM is lower than the base by {-gap.interval.mean:.1f} points" in sentence
    assert sentence.endswith("1 more differs; no other difference shown")
