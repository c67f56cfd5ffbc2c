"""Yardsticks of runs in tables, report and sentences: what is not learned is said, and nothing is claimed of it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from analysis import document, report, table
from analysis.runs.load import load
from analysis.stats import sentences, yardsticks
from analysis.stats.summary import Summary, summarise
from analysis.tables import columns
from analysis.tables import yardsticks as small_table
from tests.analysis.folders import Builder, edit

RETRIEVAL = {"chance": 0.5, "ceiling": 100.0, "block_means": 5.0, "histogram": 31.25}
MVM = {"loss": 0.96, "floor": 0.98, "oracle": 0.06, "copy": 1.7, "progress": 0.02, "learned": False}
MLM = {"loss": 2.5, "floor": 3.75, "wrong_video": 3.0, "learned": True}
VTM = {"loss": 0.5, "floor": 0.693, "accuracy": 0.74, "clips": 400, "learned": True}


def _measured(folder: Path, changes: Mapping[str, Mapping[str, Any]] | None = None) -> Summary:
    """Yardsticks written into every run of mask_ratio; changes: label of a point -> other parts for its runs."""
    sweep = json.loads((folder / "sweeps/mask_ratio-tiny/sweep.json").read_text())
    for run in sweep["runs"]:
        parts: dict[str, Any] = {"split": "test", "retrieval": RETRIEVAL, "mvm": MVM | {"learned": True},
                                 "mlm": MLM, "vtm": VTM}  # fmt: skip
        parts |= (changes or {}).get(sweep["points"][run["point"]]["label"], {})
        edit(folder / "runs" / run["run"] / "result.json", lambda c, parts=parts: c.update(yardsticks=parts))
    results = load(folder)
    return summarise(results.sweeps[0], results)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Builder(tmp_path, deviation=0.3).sweep("mask_ratio", seeds=range(4))
    return tmp_path


def test_a_table_says_beside_a_row_what_it_has_not_learned(folder: Path) -> None:
    _measured(folder, {"video 95%": {"mvm": MVM}})
    assert table.main([str(folder)]) == 0
    lines = (folder / "tables/mask_ratio-tiny.md").read_text().splitlines()
    head = [cell.strip() for cell in lines[4].split("|")]
    cells = {line.split("|")[1].strip(): line.split("|")[head.index("learned")].strip() for line in lines[6:13]}
    assert cells["video 95%"] == "not learned: MVM"
    assert cells["text 15%"] == "yes"
    assert "| MLM | 2.5 | 3.75 | wrong video 3 | learned |" in lines
    assert any(re.fullmatch(r"\| R@1 t→v \| \d+\.\d \| 0\.5 \| ridge on block means 5\.0, ridge on histogram 31\.2, "
                            r"ceiling 100\.0 \|  \|", line) for line in lines)  # fmt: skip
    assert "| VTM | 0.5 | 0.693 | accuracy 74% | learned |" in lines
    with (folder / "tables/mask_ratio-tiny.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["point"] == "video 95%")
    assert (row["mvm.loss"], row["mvm.learned"], row["mvm.seeds"]) == ("0.96", "0", "4")


def test_nothing_is_claimed_of_a_row_about_an_objective_that_it_has_not_learned(folder: Path) -> None:
    before = sentences.against_base(_measured(folder).rows)
    assert "video 95% is lower than the base" in before
    after = sentences.against_base(_measured(folder, {"video 95%": {"mvm": MVM}}).rows)
    assert "video 95% is" not in after
    assert "nothing is claimed of video 95%: MVM not learned" in after


def test_where_the_base_has_not_learned_it_no_row_about_it_claims_anything(folder: Path) -> None:
    summary = _measured(folder, {"base": {"mvm": MVM}})
    said = sentences.against_base(summary.rows)
    assert "nothing is claimed of video 50%, video 75%, video 95%: MVM not learned" in said
    assert not re.search(r"video \d+% is", said)
    text = [row for row in summary.rows if row.label.startswith("text")]
    assert all(yardsticks.without_claim(row, summary.base) == [] for row in text)
    assert small_table.rows(summary)[1] == ["MVM", "0.96", "0.98", "oracle 0.06, copy 1.7", "not learned"]


def test_a_claim_about_something_else_names_what_is_not_learned(folder: Path) -> None:
    said = sentences.against_base(_measured(folder, {"video 95%": {"mlm": MLM | {"learned": False}}}).rows)
    assert "video 95% (MLM not learned) is lower than the base" in said


def test_one_seed_that_has_not_learned_is_enough(folder: Path) -> None:
    summary = _measured(folder)
    base = summary.base
    assert base is not None
    edit(folder / "runs" / base.runs[1].id / "result.json", lambda c: c["yardsticks"].update(mvm=MVM))
    results = load(folder)
    again = summarise(results.sweeps[0], results)
    assert again.base is not None
    one = yardsticks.of_row(again.base)["mvm"]
    assert (one.seeds, one.learned, one.verdict) == (4, 3, "not learned (1 of 4 seeds)")


def test_the_report_and_a_page_show_the_yardsticks_of_the_base(folder: Path) -> None:
    _measured(folder, {"base": {"mvm": MVM}})
    assert report.main([str(folder)]) == 0
    page = (folder / "report.html").read_text()
    assert small_table.TITLE in page
    assert re.search(r'<td class="verdict warn">not learned</td>', page)
    text = folder / "page.md"
    text.write_text("<!-- yardsticks mask_ratio-tiny -->\n<!-- end yardsticks mask_ratio-tiny -->\n")
    assert document.main([str(folder), "--page", str(text)]) == 0
    assert "| MVM | 0.96 | 0.98 | oracle 0.06, copy 1.7 | not learned |" in text.read_text()


def test_runs_without_yardsticks_have_neither_column_nor_table(folder: Path) -> None:
    results = load(folder)
    summary = summarise(results.sweeps[0], results)
    assert "learned" not in [column.heading for column in columns.columns(summary)]
    assert small_table.markdown(summary) == ""
    assert "not learned" not in sentences.against_base(summary.rows)


def test_a_figure_that_is_no_number_is_left_out(folder: Path) -> None:
    summary = _measured(folder, {"base": {"mvm": MVM | {"oracle": None, "copy": "far"}, "vtc": None}})
    assert summary.base is not None
    assert set(yardsticks.of_row(summary.base)["mvm"].values) == {"loss", "floor", "progress"}
    assert "vtc" not in yardsticks.of_row(summary.base)
