"""Figures in the looks of venues: widths, letters, titles, and words that do not cover each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from analysis import plot
from analysis.figures import ablation, learning_curves, looks, pareto, style
from analysis.runs.load import load
from analysis.stats.summary import Summary, summarise
from simvtp.errors import ConfigError
from tests.analysis.figures.words import cut, overlapping
from tests.analysis.folders import Builder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("results")
    builder = Builder(place, queries=100, logs=True)
    for name in ("mask_ratio", "objectives", "mask_grid"):
        builder.sweep(name, seeds=(0, 1))
    return place


@pytest.fixture(autouse=True)
def _default_look() -> Iterator[None]:
    yield
    style.apply()


def _summary(folder: Path, name: str) -> Summary:
    results = load(folder)
    return summarise(next(sweep for sweep in results.sweeps if sweep.name == name), results)


def _learning(summary: Summary, folder: Path) -> Figure:
    figure = learning_curves.draw(summary, folder)
    assert figure is not None
    return figure


FIGURES: dict[str, Callable[[Path], Figure]] = {
    "curves": lambda folder: ablation.draw(_summary(folder, "mask_ratio")),
    "toggles": lambda folder: ablation.draw(_summary(folder, "objectives")),
    "heat map": lambda folder: ablation.draw(_summary(folder, "mask_grid")),
    "cost": lambda folder: pareto.draw(_summary(folder, "mask_grid")),
    "pareto": lambda folder: pareto.overall([_summary(folder, name) for name in ("mask_ratio", "objectives")]),
    "learning": lambda folder: _learning(_summary(folder, "mask_ratio"), folder),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("look", ["default", "neurips", "cvpr", "acl", "slides"])
def test_no_word_covers_another_or_leaves_the_page(folder: Path, look: str, name: str) -> None:
    style.apply(looks.of_style(look))
    figure = FIGURES[name](folder)
    assert overlapping(figure) == []
    assert cut(figure) == []


@pytest.mark.parametrize(
    ("name", "width", "inches"),
    [("default", None, 7.2), ("neurips", None, 5.5), ("cvpr", None, 3.25), ("cvpr", "page", 6.875),
     ("acl", "column", 3.03), ("acl", "4.2", 4.2), ("default", "column", 3.5)],
)  # fmt: skip
def test_figures_have_the_width_of_the_venue(folder: Path, name: str, width: str | None, inches: float) -> None:
    style.apply(looks.of_style(name, width))
    assert FIGURES["cost"](folder).get_figwidth() == pytest.approx(inches)


def test_a_paper_has_its_words_in_the_caption_and_not_on_the_figure(folder: Path) -> None:
    figure = FIGURES["cost"](folder)
    words = style.caption_of(figure)
    assert figure.axes[0].get_title(loc="left") == "Mask grid"
    assert "95% interval of R@1 (text-to-video)" in figure.get_supxlabel().replace("\n", " ")
    style.apply(looks.of_style("cvpr"))
    figure = FIGURES["cost"](folder)
    assert figure.axes[0].get_title(loc="left") == ""
    assert figure.get_supxlabel() == ""
    assert style.caption_of(figure).startswith(words.removesuffix(".").split(" On the front")[0])
    assert plt.rcParams["font.family"] == ["STIXGeneral"]
    assert plt.rcParams["axes.labelsize"] == 8
    assert plt.rcParams["legend.fontsize"] == 6


@pytest.mark.parametrize("words", [["--font", "No Such Letters"], ["--width", "wide"], ["--width", "0.2"]])
def test_a_font_or_width_that_is_none_is_refused_in_one_paragraph(
    folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert plot.main([str(folder), *words]) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith(f"error: {words[0]}")
    assert "\n" not in message
    assert not (folder / "figures").exists()


def test_an_unknown_style_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'neurips'"):
        looks.of_style("neurip")


def test_a_metric_has_files_and_an_axis_of_its_own(folder: Path, tmp_path: Path) -> None:
    words = ["--only", "objectives", "--metric", "R@5", "--direction", "video_to_text", "--format", "svg"]
    assert plot.main([str(folder), *words, "--output", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == [
        "objectives-tiny-R5-v2t.svg", "objectives-tiny-cost-R5-v2t.svg",
    ]  # fmt: skip
    assert "R@5 (video-to-text)" in (tmp_path / "objectives-tiny-R5-v2t.txt").read_text()
