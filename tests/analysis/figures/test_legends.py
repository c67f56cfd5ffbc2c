"""Legends, axes and titles of figures with long labels: nothing is cut, nothing covers another."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from analysis.figures import ablation, labels, learning_curves, legends, looks, style
from analysis.runs.load import load
from analysis.stats.summary import Summary, summarise
from tests.analysis import folders
from tests.analysis.figures.words import cut, overlapping

LONG = "objective weights of $3$ & matching_x%, with a rather long name of the point"
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Summary:
    """A sweep of these points, whose base has many changes to its preset."""
    points, axes = request.param
    monkeypatch.setitem(folders.SWEEPS, "own", [("base", {}, 30.0), *points])
    monkeypatch.setitem(folders.AXES, "own", axes)
    changes = {"finetune.length": "8 steps", "finetune.warmup": "2 steps", "pretrain.warmup": "2 steps",
               "pretrain.crop": "multiscale", "pretrain.batch": 16, "finetune.batch": 32}  # fmt: skip
    path = folders.Builder(tmp_path, logs=True, changes=changes).sweep("own")
    words = "".join(f" --set '{key}={value}'" for key, value in changes.items())
    folders.edit(path, lambda content: content.update(command=content["command"] + words))
    results = load(tmp_path)
    return summarise(results.sweeps[0], results)


NAMED = ([(f"{LONG} {k}", {"mask.kind": kind}, 20.0) for k, kind in enumerate(("frame", "random"))], ["mask.kind"])
GRID = ([("pretrain lr, finetune lr", {"pretrain.lr": k, "finetune.lr": j}, 20.0) for k in RATES
         for j in (1e-4, 1.25e-3)], ["pretrain.lr", "finetune.lr"])  # fmt: skip
CURVE = ([("lr", {"pretrain.lr": rate}, 20.0) for rate in RATES], ["pretrain.lr"])


@pytest.mark.parametrize("summary", [NAMED], indirect=True)
@pytest.mark.parametrize("name", ["default", "acl"])
def test_learning_curves_of_long_labels_and_many_changes(summary: Summary, name: str, tmp_path: Path) -> None:
    style.apply(looks.of_style(name))
    figure = learning_curves.draw(summary, tmp_path)
    assert figure is not None
    assert cut(figure) == []
    assert overlapping(figure) == []
    assert "Preset tiny, finetune.length=8 steps, finetune.warmup=2 steps" in style.caption_of(figure)


def test_a_legend_takes_the_columns_that_fit() -> None:
    figure, panel = plt.subplots(figsize=(7.2, 3))
    for label in ("one", "two", "three"):
        panel.plot([0], [0], label=label)
    handles = legends.handles_of([panel])
    assert list(handles) == ["one", "two", "three"]
    for most, columns in ((99, 3), (2, 2)):
        legends.draw(figure, handles, "outside upper left", most=most)
        assert figure.legends[-1]._ncols == columns
    legends.draw(figure, {f"{LONG} {LONG} {k}": mark for k, mark in enumerate(handles.values())}, "outside upper left")
    assert figure.legends[-1]._ncols == 1
    assert "\n" in figure.legends[-1].get_texts()[0].get_text()


@pytest.mark.parametrize("summary", [CURVE], indirect=True)
def test_rates_are_written_as_in_labels(summary: Summary) -> None:
    lower = ablation.draw(summary).axes[1]
    assert [text.get_text() for text in lower.get_xticklabels()] == ["1e-4", "3e-4", "1e-3", "3e-3", "1e-2", "1.8e-2"]
    assert summary.base is not None
    assert summary.base.label == "base (lr 1.8e-2)"


@pytest.mark.parametrize("summary", [GRID], indirect=True)
def test_rates_of_a_grid_have_room_in_a_column(summary: Summary) -> None:
    style.apply(looks.of_style("acl"))
    figure = ablation.draw(summary)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["1e-4", "1.25e-3", "1.2e-2"]
    assert cut(figure) == []
    assert overlapping(figure) == []
    assert summary.base is not None
    assert summary.base.label == "base (pretrain lr 1.8e-2, finetune lr 1.2e-2)"


def test_the_line_to_a_name_begins_at_its_near_side() -> None:
    _, panel = plt.subplots(figsize=(6, 3))
    panel.set(xlim=(0, 1), ylim=(0, 1))
    names = [labels.Name(0.5, 0.5, f"a name of many letters {k}") for k in range(9)]
    labels.place(panel, names, [(0.5, 0.5)])
    far = [text for text in panel.texts if getattr(text, "arrow_patch", None)]
    assert far
    for text in far:
        near_x = {"left": 0.0, "center": 0.5, "right": 1.0}[text.get_ha()]
        near_y = {"bottom": 0.0, "center": 0.5, "top": 1.0}[text.get_va()]
        assert text._arrow_relpos == (near_x, near_y)  # type: ignore[attr-defined]


def test_names_keep_apart_in_the_file() -> None:
    """Letters of this size are wider at the resolution of files than at that of the screen."""
    for x in np.linspace(0.3, 0.6, 61):
        figure, panel = plt.subplots(figsize=(10.5, 3))
        panel.set(xlim=(0, 1), ylim=(0, 1))
        marks = [(0.7, 0.5), (x, 0.5), (0.72, 0.5)]
        texts = ["base", "motion 1, kind mean", "motion 0.5, kind mean"]
        labels.place(panel, [labels.Name(*mark, text) for mark, text in zip(marks, texts, strict=True)], marks)
        figure.set_dpi(plt.rcParams["savefig.dpi"])
        assert overlapping(figure) == []
        plt.close(figure)
