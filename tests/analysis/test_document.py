"""The LaTeX document of all tables and figures: what it includes, and that LaTeX sets it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from analysis import document, plot, table
from tests.analysis.figures.test_search import write_journal
from tests.analysis.folders import Builder


def test_without_tables_and_figures_it_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Builder(tmp_path, queries=50).sweep("objectives")
    assert document.main([str(tmp_path)]) == 2
    assert "analysis/table.py" in capsys.readouterr().err
    assert not (tmp_path / "all.tex").exists()


def test_every_table_and_figure_is_included_once(tmp_path: Path) -> None:
    Builder(tmp_path, queries=50).sweep("objectives")
    table.main([str(tmp_path)])
    (tmp_path / "figures").mkdir()
    names = ("objectives-tiny.pdf", "objectives-tiny-cost.pdf", "objectives-tiny-against-B.pdf", "pareto-tiny.pdf",
             "reconstruct-base.png", "objectives-tiny.png")  # fmt: skip
    for name in names:
        (tmp_path / "figures" / name).touch()
    assert document.main([str(tmp_path)]) == 0
    text = (tmp_path / "all.tex").read_text()
    included = re.findall(r"\\(?:input|includegraphics\[[^]]*\])\{\\detokenize\{(.*?)\}\}", text)
    assert sorted(included) == sorted(["tables/objectives-tiny.tex", *(f"figures/{name}" for name in names[:-1])])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex (Debian: texlive-latex-recommended)")
def test_latex_sets_every_table_and_figure(tmp_path: Path) -> None:
    folder = tmp_path / "re sults_50%"
    builder = Builder(folder, queries=60, logs=True)
    for name in ("mask_ratio", "objectives", "data_fraction", "mask_grid"):
        builder.sweep(name, seeds=(0, 1), unfinished=[(1, 1)])
    write_journal(folder / "sweeps/search-tiny/study.journal", 12)
    assert table.main([str(folder)]) == 0
    assert plot.main([str(folder), "--format", "pdf"]) == 0
    assert document.main([str(folder)]) == 0
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    wide = {**os.environ, "max_print_line": "10000"}  # or its log breaks the names of files
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False, errors="replace", env=wide)
    assert done.returncode == 0, done.stdout[-3000:]
    figures = list((folder / "figures").glob("*.pdf"))
    # level, cost and learning of each; the front; history, importance and settings of the search
    assert len(figures) == 4 * 3 + 4
    assert set(re.findall(r"<\./figures/(\S+?\.pdf)", done.stdout)) == {path.name for path in figures}
    assert (folder / "all.pdf").read_bytes().startswith(b"%PDF")
    assert "Overfull \\hbox" not in done.stdout
