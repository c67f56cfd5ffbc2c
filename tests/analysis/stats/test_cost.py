"""Costs in time and in operations, and the figures that show them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from analysis import plot, report
from analysis.figures import ablation, pareto, style
from analysis.runs.load import load
from analysis.stats import cost as costs
from analysis.stats.summary import Summary, summarise
from tests.analysis.folders import Builder, edit

SECONDS = {"base": (60, 600, 120), "video 50%": (90, 30, 1800)}  # by seed; other rows 180
GFLOP = {"base": 2753.1, "video 50%": 6194.5, "text 15%": 0.0}  # other rows 3000


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    """Sweep mask_ratio with three seeds whose runs took very different times, and no time after pre-training."""
    Builder(tmp_path, queries=60).sweep("mask_ratio", seeds=range(3))
    content = json.loads((tmp_path / "sweeps/mask_ratio-tiny/sweep.json").read_text())
    for run in content["runs"]:
        label = content["points"][run["point"]]["label"]
        seconds = SECONDS.get(label, (180, 180, 180))[run["seed"]]
        cost = {"pretrain_seconds": seconds, "finetune_seconds": 0.0, "evaluate_seconds": 0.0,
                "pretrain_gflop": GFLOP.get(label, 3000.0)}  # fmt: skip
        edit(tmp_path / f"runs/{run['run']}/result.json", lambda content, cost=cost: content["cost"].update(cost))
    return summarise(load(tmp_path).sweeps[0], load(tmp_path))


def test_time_is_the_median_of_the_seeds_with_its_range(summary: Summary) -> None:
    cost, rows = costs.time(summary.rows), {row.point.label: row for row in summary.rows}
    assert cost.unit == "CPU min"
    assert (cost.typical(rows["base"]), cost.span(rows["base"])) == (2.0, (1.0, 10.0))
    assert cost.words(rows["video 50%"]) == "1.5 CPU min a run (0.5 to 30)"
    assert cost.words(rows["video 75%"]) == "3 CPU min a run"
    assert cost.note(summary.rows, "bars so") == "Cost: median of the seeds, bars so."


def test_operations_are_those_of_pretraining_and_no_clock_moves_them(summary: Summary) -> None:
    cost, rows = costs.operations(summary.rows), {row.point.label: row for row in summary.rows}
    assert cost.unit == "TFLOP"
    assert cost.words(rows["base"]) == "2.75 TFLOP a run"
    assert cost.words(rows["video 50%"]) == "6.19 TFLOP a run"
    assert cost.note(summary.rows, "bars so") == "Cost: operations of pre-training."
    assert cost.end(summary.rows) == pytest.approx(1.06 * 6.1945)


@pytest.mark.parametrize(
    ("gflop", "words"),
    [(0.5, "0.5 GFLOP"), (999.0, "999 GFLOP"), (999.96, "1,000 GFLOP"), (1e6, "1 PFLOP"), (2.5e12, "2,500 EFLOP")],
)
def test_operations_are_told_in_a_unit_that_suits_them(tmp_path: Path, gflop: float, words: str) -> None:
    Builder(tmp_path, queries=60).sweep("objectives")
    for path in tmp_path.glob("runs/*/result.json"):
        edit(path, lambda content: content["cost"].update(pretrain_gflop=gflop))
    rows = summarise(load(tmp_path).sweeps[0], load(tmp_path)).rows
    assert costs.operations(rows).words(rows[0]) == f"{words} a run"


def test_figures_show_the_cost_that_was_asked_for(summary: Summary) -> None:
    lower = ablation.draw(summary, costs.operations).axes[1]
    assert lower.get_ylabel() == "TFLOP\na run"
    assert list(lower.lines[0].get_ydata()) == pytest.approx([6.1945, 3.0, 2.7531, 3.0])
    crowd = pareto.draw(summary, costs.operations)
    assert crowd.axes[0].get_xlim()[0] < 0  # a row that costs nothing is not cut by the edge
    assert pareto.draw(summary).axes[0].get_xlim()[0] == 0
    assert crowd.axes[0].get_xlabel() == "cost of a run: operations of pre-training (TFLOP)"
    assert "median" not in crowd.get_supxlabel()
    assert ablation.draw(summary).axes[1].get_ylabel() == "CPU min\na run"


def test_all_sweeps_together_leave_out_what_costs_nothing(summary: Summary) -> None:
    figure = pareto.overall([summary], costs.operations)
    assert figure.axes[0].get_xscale() == "log"
    assert figure.axes[0].get_xlabel() == "cost of a run: operations of pre-training (TFLOP, log scale)"
    words = figure.get_supxlabel().replace("\n", " ")
    assert "6 rows, each once" in words
    assert words.endswith("Rows left out since they cost nothing: 1.")
    assert "left out" not in pareto.overall([summary]).get_supxlabel()


@pytest.mark.parametrize(
    ("gflop", "seeds", "words"),
    [
        ({"base": 2753.1, "video 50%": 2746.1}, 2, "all rows cost the same"),  # equal compute, to a step
        ({"base": 2753.1, "video 50%": 2600.0}, 2, "Video 50% is the cheapest"),
        ({"base": 2753.1, "video 50%": 2600.0}, 1, "Video 50% is the cheapest"),  # an exact cost takes no seeds
        ({"base": 2753.1, "video 50%": 2600.0, "video 95%": 2590.0}, 2, "no row is clearly the cheapest"),
    ],
)
def test_captions_call_rows_apart_that_operations_tell_apart(
    tmp_path: Path, gflop: dict[str, float], seeds: int, words: str
) -> None:
    Builder(tmp_path, queries=60).sweep("mask_ratio_compute", seeds=range(seeds))
    content = json.loads((tmp_path / "sweeps/mask_ratio_compute-tiny/sweep.json").read_text())
    for run in content["runs"]:
        value = gflop.get(content["points"][run["point"]]["label"], 2753.1)
        edit(tmp_path / f"runs/{run['run']}/result.json", lambda c, value=value: c["cost"].update(pretrain_gflop=value))
    figure = pareto.draw(summarise(load(tmp_path).sweeps[0], load(tmp_path)), costs.operations)
    assert words.lower() in style.caption_of(figure).lower()


def test_what_is_unfinished_has_no_cost(tmp_path: Path) -> None:
    Builder(tmp_path, queries=60).sweep("mask_ratio", unfinished=[(0, 0)])
    rows = summarise(load(tmp_path).sweeps[0], load(tmp_path)).rows
    assert math.isnan(costs.time(rows).typical(rows[0]))
    assert costs.time(rows).end(rows) > 0
    assert costs.time(rows).note(rows, "bars so") == ""


def test_a_run_without_operations_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Builder(tmp_path, queries=60).sweep("objectives")
    path = next(tmp_path.glob("runs/*/result.json"))
    edit(path, lambda content: content["cost"].pop("pretrain_gflop"))
    assert plot.main([str(tmp_path), "--format", "png", "--cost", "operations"]) == 2
    assert f"run {path.parent.name}: its result.json has no cost.pretrain_gflop" in capsys.readouterr().err
    assert not (tmp_path / "figures").exists()
    assert report.main([str(tmp_path), "--cost", "operations"]) == 2
    assert plot.main([str(tmp_path), "--format", "png", "--cost", "time"]) == 0
    edit(path, lambda content: content["cost"].update(pretrain_gflop=-5.0))
    assert plot.main([str(tmp_path), "--format", "png", "--cost", "operations"]) == 2
    assert "has cost.pretrain_gflop -5.0" in capsys.readouterr().err


def test_costs_of_an_overlay_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Builder(tmp_path, queries=60).sweep("objectives")
    assert plot.main([str(tmp_path), "--against", str(tmp_path), "--cost", "operations"]) == 2
    assert "--cost operations: --against draws no costs" in capsys.readouterr().err


def test_the_report_shows_operations_too(tmp_path: Path) -> None:
    Builder(tmp_path, queries=60).sweep("objectives")
    assert report.main([str(tmp_path), "--cost", "operations"]) == 0
    assert "1 GFLOP a run" in (tmp_path / "report.html").read_text()
