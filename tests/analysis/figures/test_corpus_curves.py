"""A sweep over corpora and one axis: a curve a corpus, differences to its own base."""

from pathlib import Path

import pytest

from analysis.figures import ablation, corpus_curves
from analysis.figures.style import caption_of
from analysis.runs.load import load
from analysis.stats.summary import Summary, summarise
from tests.analysis.folders import Builder


def summary_of(folder: Path, name: str, seeds: tuple[int, ...] = (0, 1, 2)) -> Summary:
    Builder(folder).sweep(name, seeds=seeds)
    results = load(folder)
    return summarise(results.sweeps[0], results)


def test_each_corpus_is_a_curve_and_its_differences_are_to_its_own_base(tmp_path: Path) -> None:
    summary = summary_of(tmp_path, "video_redundancy")
    figure = ablation.draw(summary)
    left, right = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["sprites:tiny", "share=0.7"]
    levels = {line.get_label(): list(line.get_ydata()) for line in left.get_lines()}
    means = [row.score() for row in summary.rows]
    assert levels["sprites:tiny"] == pytest.approx([means[1], means[2], means[0]], abs=1e-3)
    assert levels["share=0.7"] == pytest.approx([means[4], means[5], means[3]], abs=1e-3)
    gaps = [list(line.get_ydata()) for line in right.get_lines() if len(line.get_xdata()) == 3]
    assert gaps[1] == pytest.approx([means[4] - means[3], means[5] - means[3], 0.0], abs=1e-3)
    assert "share=0.7: share 0.7, video 75% is lower than its 90% by" in caption_of(figure)


@pytest.mark.parametrize("name", ["mask_ratio", "mask_grid", "objectives", "data_fraction"])
def test_sweeps_on_one_corpus_have_other_figures(tmp_path: Path, name: str) -> None:
    assert corpus_curves.axis(summary_of(tmp_path, name, (0,))) is None


def test_one_seed_and_a_corpus_without_results_are_drawn(tmp_path: Path) -> None:
    Builder(tmp_path).sweep("video_redundancy", unfinished=[(3, 0), (4, 0), (5, 0)])
    results = load(tmp_path)
    figure = ablation.draw(summarise(results.sweeps[0], results))
    assert "share=0.7: nothing to compare yet" in caption_of(figure)
