"""Cells and notes of a table: which seeds a difference is over, and why there is none."""

from __future__ import annotations

import csv
from pathlib import Path

from analysis import table
from tests.analysis.folders import Builder, edit


def test_a_difference_over_fewer_seeds_than_its_row_has_says_so(tmp_path: Path) -> None:
    Builder(tmp_path, queries=60).sweep("data_fraction", seeds=range(4), unfinished=[(3, 2), (3, 3), (1, 0), (1, 1)])
    assert table.main([str(tmp_path)]) == 0
    lines = (tmp_path / "tables/data_fraction-tiny.md").read_text().splitlines()
    assert "] (n=2) |" in next(line for line in lines if line.startswith("| 10% |"))
    assert "| - |" in next(line for line in lines if line.startswith("| 25% |"))
    assert "- (n=) at a difference: it is over the seeds that row and base share, fewer than the row has." in lines
    assert "- -: no finished seed that the base has too, so not compared with it." in lines


def test_without_a_base_the_table_says_why_nothing_is_compared(tmp_path: Path) -> None:
    Builder(tmp_path, queries=60).sweep("data_fraction", unfinished=[(3, 0)])
    assert table.main([str(tmp_path)]) == 0
    text = (tmp_path / "tables/data_fraction-tiny.md").read_text()
    assert "-: no seed of the base is finished, so nothing is compared with it." in text


def test_a_table_of_mixed_code_says_of_which_stages(tmp_path: Path) -> None:
    builder = Builder(tmp_path, queries=60)
    builder.sweep("data_fraction")
    for path in builder.written.values():
        edit(path, lambda result: result.update(code={"pretrain": "a", "finetune": "b", "evaluate": "c"}))
    note = "- Mixed code: "
    assert table.main([str(tmp_path)]) == 0
    assert note not in (tmp_path / "tables/data_fraction-tiny.md").read_text()
    edit(path, lambda result: result["code"].update(evaluate="d"))
    assert table.main([str(tmp_path)]) == 0
    lines = (tmp_path / "tables/data_fraction-tiny.md").read_text().splitlines()
    assert [line for line in lines if line.startswith(note + "evaluate of these runs")]
    edit(path, lambda result: result.pop("code"))
    assert table.main([str(tmp_path)]) == 0
    assert note + "pretrain and finetune and evaluate" in (tmp_path / "tables/data_fraction-tiny.md").read_text()


def test_text_that_a_spreadsheet_would_compute_is_quoted_and_numbers_are_not(tmp_path: Path) -> None:
    path = Builder(tmp_path, queries=60).sweep("data_fraction", seeds=(0, 1))
    labels = ["=1+1", "+x", "@sum", "-1"]

    def rename(content: dict[str, list[dict[str, str]]]) -> None:
        for point, label in zip(content["points"], labels, strict=True):
            point["label"] = label

    edit(path, rename)
    assert table.main([str(tmp_path)]) == 0
    with (tmp_path / "tables/data_fraction-tiny.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["point"] for row in rows] == ["'=1+1", "'+x", "'@sum", "'-1 (base)"]
    assert float(rows[0]["difference.mean"]) < 0
