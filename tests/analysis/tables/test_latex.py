"""The LaTeX table: its shape, and text that LaTeX would take for itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis import table
from analysis.tables.latex import tex
from tests.analysis.folders import Builder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Builder(tmp_path, queries=60).sweep("objectives")
    return tmp_path


def test_latex_has_as_many_cells_as_columns_in_every_row(folder: Path) -> None:
    table.main([str(folder)])
    text = (folder / "tables/objectives-tiny.tex").read_text()
    (columns,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == 5
    assert all(len(re.split(r"(?<!\\)&", line)) == len(columns) for line in body)
    heads = text.split(r"\toprule")[1].split(r"\cmidrule")[0]
    spanned = sum(int(n) - 1 for n in re.findall(r"multicolumn\{(\d+)\}", heads))
    assert heads.count("&") + 1 + spanned == len(columns)
    assert text.count("{") == text.count("}")
    assert re.search(r"(?<!\\)%", text.split("\n", 1)[1]) is None


def test_latex_escapes_what_latex_would_take_for_itself() -> None:
    assert tex("50% of a_b & {c} ± -1.5 $") == r"50\% of a\_b \& \{c\} $\pm$ $-$1.5 \$"
    assert tex('α|β, "é"\n\n漢 \x1b') == r"$\alpha$$|$$\beta$, ''é'' ? ?"
