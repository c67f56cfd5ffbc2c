"""Blocks of a page: what each kind holds, and that docs/ablations.md is up to date with results/reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import document
from analysis.runs.load import load
from analysis.stats.summary import summarise
from analysis.tables.blocks import block
from analysis.tables.markdown import block_names, fill_block, pipe_table
from simvtp.errors import DataError
from tests.analysis.figures.test_search import write_journal
from tests.analysis.folders import Builder

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("results")
    builder = Builder(place, queries=60)
    builder.sweep("data_fraction", seeds=(0, 1, 2))
    builder.sweep("mask_grid")
    write_journal(place / "sweeps/search-tiny/study.journal", 3)
    return place


def test_pipes_in_cells_are_escaped() -> None:
    assert pipe_table(("a", "b"), [["x|y", "1"]]) == "| a | b |\n| --- | --- |\n| x\\|y | 1 |"
    assert pipe_table(("a", "b"), [["x", "1"]], numbers=True).splitlines()[1] == "| --- | ---: |"


def test_a_block_is_replaced_and_a_new_one_is_appended() -> None:
    page = "# x\n\n<!-- a -->\nold\n<!-- end a -->\n\ntail\n"
    assert fill_block(page, "a", "new") == "# x\n\n<!-- a -->\nnew\n<!-- end a -->\n\ntail\n"
    assert fill_block("# x\n", "b", "new") == "# x\n\n## b\n\n<!-- b -->\nnew\n<!-- end b -->\n"
    assert block_names(page) == ["a"]
    with pytest.raises(DataError, match="block 'a'"):
        block_names("<!-- a -->\n")


def test_a_table_has_a_row_a_point_with_level_and_difference(folder: Path) -> None:
    collection = load(folder)
    rows = summarise(collection.sweeps[0], collection).rows
    lines = block("table data_fraction-tiny", collection).splitlines()
    assert len(lines) == 2 + len(rows)
    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert cells[:2] == ["10%", "3"]
    assert cells[2].startswith(f"{rows[0].mean('R@1'):.1f} ± ")
    assert cells[3].startswith(f"{rows[0].mean('R@1') - rows[3].mean('R@1'):+.1f} [")
    assert "| 100% (base) | 3 |" in lines[5]


def test_other_kinds(folder: Path) -> None:
    collection = load(folder)
    grid = block("grid mask_grid-tiny", collection).splitlines()
    assert [len(line.split("|")) - 2 for line in grid] == [5] * 6
    assert sum("(base)" in line for line in grid) == 1
    seeds = block("seeds data_fraction-tiny", collection).splitlines()[2]
    assert len(seeds.split("|")[2].split(",")) == 3
    assert "| point | data_fraction-tiny | data_fraction-tiny |" in block(
        "beside data_fraction-tiny data_fraction-tiny", collection
    )
    assert block("power", collection).splitlines()[2].startswith("| data_fraction-tiny | 3 | ")
    assert block("trials search-tiny", collection).splitlines()[2].startswith("| 0 | ")


@pytest.mark.parametrize(
    "name", ["tabel data_fraction-tiny", "table mask", "grid data_fraction-tiny", "trials x", "table"]
)
def test_a_block_that_cannot_be_written_is_named(folder: Path, name: str) -> None:
    with pytest.raises(DataError):
        block(name, load(folder))


def test_a_page_is_written_and_checked(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# x\n\n<!-- table data_fraction-tiny -->\n<!-- end table data_fraction-tiny -->\n\ntail\n")
    words = [str(folder), "--page", str(page)]
    assert document.main([*words, "--check"]) == 1
    assert document.main(words) == 0
    assert document.main([*words, "--check"]) == 0
    text = page.read_text()
    assert "| 100% (base) | 3 |" in text
    assert text.endswith("\ntail\n")
    page.write_text(text.replace("| 3 |", "| 4 |"))
    assert document.main([*words, "--check"]) == 1


def test_docs_ablations_is_up_to_date() -> None:
    assert document.main([str(ROOT / "results/reference"), "--page", str(ROOT / "docs/ablations.md"), "--check"]) == 0
