"""Two folders in one figure, and all sweeps of a preset in one: what is drawn, and what is claimed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from analysis import plot
from analysis.figures import overlay, pareto, style
from analysis.runs.load import load
from analysis.stats import cost as costs
from analysis.stats import diff
from analysis.stats.summary import Summary, summarise
from tests.analysis.folders import AXES, SWEEPS, Builder, metrics_of, write


def summaries(folder: Path) -> list[Summary]:
    results = load(folder)
    return [summarise(sweep, results) for sweep in results.sweeps]


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    """B is A with ten hits of 200 taken from every run at video 95%."""
    first, second = tmp_path / "A", tmp_path / "B"
    Builder(first, queries=200, deviation=0.5).sweep("mask_ratio", seeds=(0, 1, 2))
    shutil.copytree(first, second)
    for path in second.glob("runs/*/result.json"):
        content = json.loads(path.read_text())
        if content["config"]["mask.video"] == 0.95:
            ranks = content["ranks"]["test"]["text_to_video"]
            for k in [k for k, rank in enumerate(ranks) if rank == 1][:10]:
                ranks[k] = 2.0
            content["metrics"]["test"]["text_to_video"]["R@1"] -= 5.0
            write(path, content)
    return first, second


def test_curves_of_both_folders_with_what_a_paired_test_shows(both: tuple[Path, Path]) -> None:
    (first,), (second,) = summaries(both[0]), summaries(both[1])
    figure = overlay.draw(first, second, ("A", "B"))
    video, text = figure.axes
    assert (video.get_title(loc="left"), text.get_title(loc="left")) == ("Video mask ratio", "Text mask ratio")
    assert style.caption_of(figure).startswith(
        "Video mask ratio: B is lower at 1 of 4 points. Text mask ratio: no difference shown at 4 points. Bars: "
    )
    means = [list(line.get_ydata()) for line in video.get_lines() if line.get_marker() in ("o", "s")]
    assert means[0][:3] == pytest.approx(means[1][:3])
    assert means[0][3] - means[1][3] == pytest.approx(5.0, abs=1e-3)
    levels = [summary.rows[3].mean("R@1") for summary in (first, second)]
    assert levels[0] - levels[1] == pytest.approx(5.0)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "B"]


def test_the_command_writes_one_figure_of_both(both: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(both[0]), "--only", "mask_ratio", "--against", str(both[1]), "--format", "svg"]
    assert plot.main(words) == 0
    made = sorted(path.name for path in (both[0] / "figures").iterdir())
    assert made == ["mask_ratio-tiny-against-B.svg", "mask_ratio-tiny-against-B.txt"]
    assert not (both[1] / "figures").exists()
    (both[1] / "sweeps/mask_ratio-tiny/sweep.json").unlink()
    Builder(both[1], queries=200).sweep("objectives")
    assert plot.main(words) == 1
    assert "has nothing finished to draw it against" in capsys.readouterr().err


def test_toggles_are_drawn_beside_each_other_also_across_presets(tmp_path: Path) -> None:
    Builder(tmp_path / "A", queries=60).sweep("objectives", seeds=(0, 1))
    Builder(tmp_path / "B", queries=80, preset="small").sweep("objectives", unfinished=[(1, 0)])
    (first,), (second,) = summaries(tmp_path / "A"), summaries(tmp_path / "B")
    figure = overlay.draw(first, second, ("A", "B"))
    (panel,) = figure.axes
    assert [label.get_text() for label in panel.get_yticklabels()][-1] == "no pre-training"
    assert "no point can be paired (another test corpus" in style.caption_of(figure)
    note = figure.get_supxlabel().replace("\n", " ")
    assert "A: n = 2, preset tiny, gallery of 60; B: n = 1, preset small, gallery of 80, 4 of 5 runs finished" in note


def test_names_tell_folders_of_the_same_name_apart(tmp_path: Path) -> None:
    assert overlay.names(tmp_path / "one/results", tmp_path / "two/results") == ("one/results", "two/results")
    assert overlay.names(tmp_path / "A", tmp_path / "B") == ("A", "B")


def test_marks_differ_beyond_the_number_of_colours() -> None:
    assert len({style.mark(number) for number in range(64)}) == 64


def test_many_sweeps_leave_room_for_the_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = Builder(tmp_path, queries=50)
    for number in range(12):
        name = f"a sweep with a long name, number {number}"
        monkeypatch.setitem(SWEEPS, name, [("base", {}, 20.0), ("rate", {"finetune.lr": 1e-4 * (number + 1)}, 15.0)])
        monkeypatch.setitem(AXES, name, ["finetune.lr"])
        builder.sweep(name)
    (group,) = pareto.groups(summaries(tmp_path)).values()
    figure = pareto.overall(group)
    figure.canvas.draw()
    assert figure.axes[0].get_window_extent().height > 0.35 * figure.bbox.height


DRAW = 12  # one in which the correction over seven points and over four tell apart


def test_a_point_has_one_verdict_in_the_figure_and_in_the_comparison(tmp_path: Path) -> None:
    """Each panel counts what is shown of its own points, corrected over the points of both."""
    first, second = tmp_path / "A", tmp_path / "B"
    Builder(first, queries=200, deviation=0.5).sweep("mask_ratio", seeds=(0, 1, 2, 3))
    Builder(second, queries=200, deviation=1.0).sweep("mask_ratio", seeds=(0, 1, 2, 3))
    for path in second.glob("runs/*/result.json"):
        content = json.loads(path.read_text())
        ranks, config = content["ranks"]["test"]["text_to_video"], content["config"]
        ratios = [round(100 * config["mask.video"]), round(100 * config["mask.text"])]
        lift = int(np.random.default_rng([DRAW, *ratios, config["seed"]]).integers(2, 22))
        lifted = [k for k, rank in enumerate(ranks) if rank > 1][:lift]
        for k in lifted:
            ranks[k] = 1.0
        content["metrics"]["test"]["text_to_video"] = metrics_of(np.array(ranks))
        write(path, content)
    one, other = summaries(first)[0], summaries(second)[0]
    shown = {line.first.label for line in diff.point_diffs(one.rows, other.rows)
             if line.difference and line.difference.verdict == "higher"}  # fmt: skip
    figure = overlay.draw(one, other, ("A", "B"))
    text_rows = {"base (video 90%, text 75%)", "text 15%", "text 50%", "text 90%"}
    expected = len(shown & text_rows)
    alone = [line.difference.verdict for line in diff.point_diffs(
        [row for row in one.rows if row.label in text_rows], [row for row in other.rows if row.label in text_rows]
    ) if line.difference]  # fmt: skip
    assert alone.count("higher") > expected > 0  # corrected over four points only, more would be shown
    assert f"B is higher at {expected} of 4 points" in style.caption_of(figure).split("Text mask ratio: ")[1]


@pytest.mark.parametrize(("seeds", "cut"), [((0, 1, 2, 3), False), ((0, 1), True)])
def test_a_cut_interval_is_said_and_only_where_there_is_one(tmp_path: Path, seeds: tuple[int, ...], cut: bool) -> None:
    Builder(tmp_path, queries=200, deviation=3.0 if cut else 0.2).sweep("data_fraction", seeds=seeds)
    (summary,) = summaries(tmp_path)
    figure = overlay.draw(summary, summary, ("A", "B"))
    (_, top), highest = figure.axes[0].get_ylim(), max(row.level["text_to_video"].high for row in summary.rows)
    assert (highest > top) == cut
    said = " ".join(text.get_text() for text in figure.findobj(Text))
    assert ("Intervals that reach beyond the panel are cut." in said.replace("\n", " ")) == cut


def test_every_point_is_inside_a_panel_of_logarithms(tmp_path: Path) -> None:
    Builder(tmp_path / "A", queries=100).sweep("data_fraction", seeds=(0, 1))
    Builder(tmp_path / "B", queries=100).sweep("data_fraction", seeds=(0, 1), unfinished=[(0, 0), (0, 1)])
    figure = overlay.draw(summaries(tmp_path / "A")[0], summaries(tmp_path / "B")[0], ("A", "B"))
    low, high = figure.axes[0].get_xlim()
    assert 5 < low < 10  # a tenth and all of the data, with a margin that does not dwarf them
    assert 100 < high < 200


def test_no_row_is_called_the_cheapest_where_the_times_of_seeds_overlap(tmp_path: Path) -> None:
    Builder(tmp_path, queries=100).sweep("mask_ratio", seeds=(0, 1))
    (summary,) = summaries(tmp_path)
    assert "video 95% is the cheapest" in _caption(summary)
    path = next(tmp_path / "runs" / run.id for row in summary.rows if row.label == "video 95%"
                for run in row.runs.values())  # fmt: skip
    content = json.loads((path / "result.json").read_text())
    content["cost"]["pretrain_seconds"] *= 40  # one seed ran beside other work
    write(path / "result.json", content)
    (summary,) = summaries(tmp_path)
    assert "no row is clearly the cheapest" in _caption(summary)


def test_one_row_alone_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    Builder(tmp_path, queries=100).sweep("data_fraction", unfinished=[(0, 0), (1, 0), (2, 0)])
    assert "nothing to compare yet" in _caption(summaries(tmp_path)[0])


def _caption(summary: Summary) -> str:
    return style.caption_of(pareto.draw(summary))


def test_the_front_has_what_nothing_cheaper_reaches(tmp_path: Path) -> None:
    Builder(tmp_path, queries=100).sweep("mask_ratio")
    (summary,) = summaries(tmp_path)
    rows = summary.finished_rows
    places = {(row.minutes, row.mean("R@1")) for row in rows}
    best = {
        (cost, level) for cost, level in places
        if not any(other != (cost, level) and other[0] <= cost and other[1] >= level for other in places)
    }  # fmt: skip
    front = pareto.pareto_front(rows, costs.time(rows))
    assert {(row.minutes, row.mean("R@1")) for row in front} == best
    assert len(front) == len(best) > 1


def test_all_sweeps_of_a_preset_share_a_figure_but_presets_do_not(tmp_path: Path) -> None:
    for preset, queries in (("tiny", 60), ("small", 80)):
        builder = Builder(tmp_path, queries=queries, preset=preset)
        builder.sweep("mask_ratio")
        builder.sweep("objectives")
    groups = pareto.groups(summaries(tmp_path))
    assert {name: len(members) for name, members in groups.items()} == {"tiny": 2, "small": 2}
    figure = pareto.overall(groups["tiny"])
    assert "11 rows, each once" in figure.get_supxlabel().replace("\n", " ")  # 7 + 5 less the shared base
    assert plot.main([str(tmp_path), "--format", "png"]) == 0
    assert (tmp_path / "figures/pareto-small.png").exists()


def test_costs_count_devices(tmp_path: Path) -> None:
    Builder(tmp_path, queries=60).sweep("data_fraction")
    for path in tmp_path.glob("runs/*/result.json"):
        content = json.loads(path.read_text())
        content["cost"] |= {"device": "cuda", "devices": 4, "pretrain_seconds": 7200.0}
        write(path, content)
    (summary,) = summaries(tmp_path)
    assert costs.time(summary.rows[:0]).typical(summary.rows[0]) == pytest.approx(4 * (7200 + 22) / 60)
    assert pareto.draw(summary).axes[0].get_xlabel().endswith("(GPU h)")


def test_in_a_crowd_only_the_front_and_the_base_are_named(tmp_path: Path) -> None:
    for name in ("mask_grid", "objectives"):
        Builder(tmp_path, queries=100).sweep(name)
    figure = pareto.overall(summaries(tmp_path))
    front = {row.label for part in summaries(tmp_path) for row in part.finished_rows}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(labels) == len(set(labels)) < 12
    assert {"other rows", "Pareto front of the means"} < set(labels)
    assert len(front) > 18
    named = {text.get_text() for text in figure.axes[0].texts}
    cost = costs.time([row for part in summaries(tmp_path) for row in part.finished_rows])
    best = pareto.pareto_front([row for part in summaries(tmp_path) for row in part.finished_rows], cost)
    assert named <= {row.label for row in best} | {"base"}
    assert best[-1].label in named
    assert "base" in named
