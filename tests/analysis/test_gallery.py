"""docs/gallery/draw.py: the page of figures, from any results folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.analysis.folders import Builder

ROOT = Path(__file__).resolve().parents[2]


def test_every_kind_of_figure_is_drawn_and_its_caption_stands_below_it(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "results", queries=60, logs=True)
    for name in ("mask_ratio", "mask_grid", "objectives", "video_redundancy"):
        builder.sweep(name, seeds=(0, 1))
    Builder(tmp_path / "examples", queries=60).sweep("mask_ratio")  # its kind is there already
    page = tmp_path / "gallery.md"
    page.write_text("# Figures\n\n<!-- gallery -->\n<!-- end gallery -->\n")
    folder = str(tmp_path / "results")
    examples = str(tmp_path / "examples")
    command = [
        sys.executable,
        str(ROOT / "docs/gallery/draw.py"),
        folder,
        examples,
        "--logs",
        folder,
        "--page",
        str(page),
    ]
    subprocess.run(command, check=True, capture_output=True)
    text = page.read_text()
    pictures = re.findall(r"!\[.+\]\(gallery/(.+)\.png\)", text)
    assert pictures == [
        "curves", "curves-cvpr", "curves-metric", "grid", "corpora", "toggles", "cost", "pareto", "learning",
    ]  # fmt: skip
    for name in pictures:
        assert Image.open(tmp_path / f"gallery/{name}.png").width in range(470, 811)
    assert "`python analysis/plot.py results/results --only mask_ratio-tiny --style cvpr`" in text
    assert text.count("95% interval") == 8


def test_the_page_s_pictures_are_committed() -> None:
    text = (ROOT / "docs/gallery.md").read_text()
    names = re.findall(r"\]\((gallery/.+\.png)\)", text)
    assert len(names) >= 6
    assert {ROOT / "docs" / name for name in names} == set((ROOT / "docs/gallery").glob("*.png"))
