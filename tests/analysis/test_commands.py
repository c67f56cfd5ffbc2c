"""`python analysis/table.py` and `plot.py` as a user runs them: files, screen, messages, exit codes."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import plot, table
from analysis.figures import ablation, learning_curves, style
from analysis.figures.style import wrap
from analysis.runs.load import load, read_log
from analysis.stats.summary import Summary, summarise
from tests.analysis.folders import Builder, edit, write_lines

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("results")
    builder = Builder(place, logs=True)
    builder.sweep("mask_ratio", seeds=(0, 1, 2))
    builder.sweep("objectives", seeds=(0,))
    return place


def test_table_writes_three_files_per_sweep(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main([str(folder)]) == 0
    made = {path.name for path in (folder / "tables").iterdir()}
    assert made == {f"{name}-tiny.{end}" for name in ("mask_ratio", "objectives") for end in ("md", "tex", "csv")}
    printed = capsys.readouterr()
    assert "base (video 90%, text 75%)" in printed.out
    assert "no difference shown" in printed.out
    assert printed.err == ""


def test_markdown_marks_base_best_and_second(folder: Path) -> None:
    table.main([str(folder)])
    text = (folder / "tables/mask_ratio-tiny.md").read_text()
    body = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith(("| video", "| text", "| base"))]
    rows = summarise(load(folder).sweeps[0], load(folder)).rows
    levels = sorted({round(row.mean("R@1"), 1) for row in rows}, reverse=True)
    shown = {cells[2].strip() for cells in body}
    assert any(re.fullmatch(rf"\*\*{levels[0]:.1f} ± \d+\.\d\*\*", cell) for cell in shown)
    assert any(re.fullmatch(rf"_{levels[1]:.1f} ± \d+\.\d_", cell) for cell in shown)
    base = next(cells for cells in body if cells[0].strip().startswith("base"))
    assert base[1].strip() == "3"
    assert "paper" not in text  # another corpus


def test_the_seeds_that_a_wanted_difference_takes_fall_as_it_grows(folder: Path) -> None:
    collected = []
    for wanted in ("4", "8"):
        assert table.main([str(folder), "--only", "mask_ratio", "--wanted", wanted]) == 0
        text = (folder / "tables/mask_ratio-tiny.md").read_text()
        (seeds,) = re.findall(rf"one of {wanted} points takes about (\d+) seeds", text)
        collected.append(int(seeds))
    assert collected[0] > collected[1] >= 2


@pytest.mark.parametrize("wanted", ["0", "-1", "nan", "many"])
def test_a_wanted_difference_that_is_none_is_refused(folder: Path, wanted: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        table.main([str(folder), "--wanted", wanted])
    assert stopped.value.code == 2


def test_csv_holds_raw_numbers(folder: Path) -> None:
    table.main([str(folder)])
    with (folder / "tables/mask_ratio-tiny.csv").open() as file:
        rows = list(csv.DictReader(file))
    run = json.loads((folder / "runs" / rows[0]["runs"].split()[0] / "result.json").read_text())
    assert rows[0]["point"] == "video 50%"
    assert rows[0]["mask.video"] == "0.5"
    assert [row["base"] for row in rows] == ["0", "0", "1", "0", "0", "0", "0"]
    ours = [summary.mean("R@1") for summary in summarise(load(folder).sweeps[0], load(folder)).rows]
    assert float(rows[0]["text_to_video.R@1"]) == pytest.approx(ours[0])
    assert run["config"]["mask.video"] == 0.5


def test_other_ways_of_scoring_have_columns_of_their_own(tmp_path: Path) -> None:
    Builder(tmp_path, queries=60).sweep("data_fraction")
    for path in tmp_path.glob("runs/*/result.json"):
        content = json.loads(path.read_text())
        if content["config"]["data.fraction"] != 0.1:
            content["metrics"]["test_dual_softmax"] = {"text_to_video": {"R@1": 12.34}}
            path.write_text(json.dumps(content))
    assert table.main([str(tmp_path)]) == 0
    lines = (tmp_path / "tables/data_fraction-tiny.md").read_text().splitlines()
    head, rows = lines[4].split("|"), [line.split("|") for line in lines[6:10]]
    place = [cell.strip() for cell in head].index("dual softmax")
    assert [row[place].strip() for row in rows] == ["-", "12.3", "12.3", "12.3"]
    assert any("scored otherwise, beside and not in the comparison: dual softmax." in line for line in lines)
    with (tmp_path / "tables/data_fraction-tiny.csv").open() as file:
        assert [row["test_dual_softmax.R@1"] for row in csv.DictReader(file)] == ["", "12.34", "12.34", "12.34"]


def test_one_seed_is_marked_in_the_table(folder: Path) -> None:
    table.main([str(folder)])
    text = (folder / "tables/objectives-tiny.md").read_text()
    assert "(one seed)" in text
    assert "one seed, so the interval covers test queries only" in text


def test_an_unfinished_sweep_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Builder(tmp_path).sweep("mask_ratio", seeds=(0, 1), unfinished=[(3, 0), (3, 1), (6, 1)])
    assert table.main([str(tmp_path)]) == 0
    text = (tmp_path / "tables/mask_ratio-tiny.md").read_text()
    assert "Unfinished: 11 of 14 runs are done." in text
    assert "Missing: video 95%, seed 0; video 95%, seed 1; text 90%, seed 1." in text
    assert "| video 95% | 0 | - |" in text
    assert "Unfinished: 11 of 14" in capsys.readouterr().out


def test_plot_writes_figures_in_the_same_bytes_each_time(folder: Path) -> None:
    assert plot.main([str(folder), "--only", "mask_ratio"]) == 0
    made = sorted((folder / "figures").glob("mask_ratio-tiny*"))
    assert {path.name for path in made} == {
        f"mask_ratio-tiny{part}.{end}" for part in ("", "-cost", "-learning") for end in ("png", "pdf", "svg", "txt")
    }
    before = [path.read_bytes() for path in made]
    assert plot.main([str(folder), "--only", "mask_ratio-tiny"]) == 0
    assert [path.read_bytes() for path in made] == before
    assert before[made.index(folder / "figures/mask_ratio-tiny.png")].startswith(b"\x89PNG")


def test_curves_show_the_means_of_each_axis(folder: Path) -> None:
    results = load(folder)
    summary = summarise(results.sweeps[0], results)
    figure = ablation.draw(summary)
    video, text = figure.axes[0], figure.axes[2]
    line = next(line for line in video.get_lines() if len(line.get_xdata()) == 4 and line.get_marker() == "o")
    assert list(line.get_xdata()) == pytest.approx([50, 75, 90, 95])
    assert list(line.get_ydata()) == pytest.approx([summary.rows[k].mean("R@1") for k in (0, 1, 2, 3)], abs=1e-3)
    assert video.get_ylabel() == "R@1, text-to-video (%)"
    assert "text mask ratio (%)" in {axes.get_xlabel() for axes in figure.axes}
    assert text.get_title(loc="left") == "Text mask ratio"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["held-out combinations", "seen combinations", "base", "no pre-training", "chance"]


def test_an_axis_with_settings_tied_to_it_is_a_curve_under_the_name_of_the_sweep(tmp_path: Path) -> None:
    Builder(tmp_path, queries=60).sweep("mask_ratio_compute")
    results = load(tmp_path)
    summary = summarise(results.sweeps[0], results)
    upper = ablation.draw(summary).axes[0]
    line = next(line for line in upper.get_lines() if line.get_marker() == "o" and len(line.get_xdata()) == 3)
    assert list(line.get_xdata()) == pytest.approx([50, 90, 95])
    assert upper.get_title(loc="left") == "Mask ratio compute"


@pytest.mark.parametrize("name", ["mask_grid", "data_fraction", "objectives"])
@pytest.mark.parametrize("unfinished", [[], [(0, 0), (1, 0)]])
def test_every_kind_of_sweep_has_its_figure(tmp_path: Path, name: str, unfinished: list[tuple[int, int]]) -> None:
    Builder(tmp_path, queries=60).sweep(name, unfinished=unfinished)
    assert plot.main([str(tmp_path), "--format", "png"]) == 0
    assert (tmp_path / f"figures/{name}-tiny.png").stat().st_size > 10_000


def test_heat_map_writes_the_mean_of_each_cell(tmp_path: Path) -> None:
    Builder(tmp_path, queries=60).sweep("mask_grid", unfinished=[(0, 0)])
    results = load(tmp_path)
    summary = summarise(results.sweeps[0], results)
    texts = [text.get_text() for text in ablation.draw(summary).axes[0].texts]
    assert len(texts) == 16
    assert texts.count("not\nfinished") == 1
    assert f"{summary.rows[5].mean('R@1'):.1f}\n±{summary.rows[5].level['text_to_video'].half:.1f}" in texts


def test_learning_curves_take_the_last_word_on_a_step_and_skip_a_cut_line(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    lines = [{"stage": "pretrain", "step": 10, "mvm": 2.0}, {"stage": "pretrain", "step": 10, "mvm": 1.0}]
    log.write_text("\n".join(json.dumps(line) for line in lines) + '\n{"stage": "pretrain", "st')
    assert learning_curves.series(read_log(log), learning_curves.PANELS[0]) == {10.0: 1.0}
    assert learning_curves.averaged([{0.0: 1.0, 5.0: 3.0}, {0.0: 2.0, 5.0: 5.0}]) == ([0.0, 5.0], [1.5, 4.0])


def test_learning_curves_show_the_loss_of_a_plugin_and_a_single_validation(tmp_path: Path) -> None:
    Builder(tmp_path, queries=60, logs=True).sweep("data_fraction")
    for log in tmp_path.glob("pretrained/*/log.jsonl"):
        write_lines(log, [{**line, "colour": 0.5} for line in read_log(log)])
    for log in tmp_path.glob("runs/*/log.jsonl"):
        lines = read_log(log)
        checks = [line for line in lines if line["stage"] == "validation"]
        write_lines(log, [line for line in lines if line not in checks[:-1]])
    for path in tmp_path.glob("runs/*/result.json"):
        edit(path, lambda result: result["losses"] and result["losses"].update(colour=0.5))
    found = load(tmp_path)
    figure = learning_curves.draw(summarise(found.sweeps[0], found), tmp_path)
    assert figure is not None
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes if axes.axison}
    assert "Pre-training: colour" in panels
    validation = panels["Validation"]
    assert {line.get_marker() for line in validation.get_lines()} == {"o"}
    assert len(validation.get_xticks()) == 1


def test_learning_curves_count_the_runs_whose_logs_are_there(tmp_path: Path) -> None:
    Builder(tmp_path, queries=60, logs=True).sweep("objectives", seeds=(0, 1, 2))
    results = load(tmp_path)
    summary = summarise(results.sweeps[0], results)
    assert "learning curves, mean of n = 3 seeds; validation R@1 ends between" in _title(summary, tmp_path)
    first, second = summary.rows[:2]
    for row, seeds in ((first, (0, 1, 2)), (second, (0,))):
        for run in (row.runs[seed] for seed in seeds):
            for log in (tmp_path / "runs" / run.id / "log.jsonl", tmp_path / f"pretrained/{run.pretrain}/log.jsonl"):
                log.unlink(missing_ok=True)
    assert "learning curves, mean of n = 2 to 3 seeds; " in _title(summary, tmp_path)
    figure = learning_curves.draw(summary, tmp_path)
    assert figure is not None
    assert style.caption_of(figure).endswith(f"No log is left of {first.label}.")


def _title(summary: Summary, folder: Path) -> str:
    figure = learning_curves.draw(summary, folder)
    assert figure is not None
    return style.caption_of(figure)


def test_an_unknown_sweep_is_refused_with_the_nearest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main([str(folder), "--only", "mask_ration"]) == 2
    message = capsys.readouterr().err
    assert "did you mean 'mask_ratio'?" in message
    assert len(message.strip().splitlines()) == 1


def test_damage_is_counted_and_named_but_the_rest_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = next(iter(Builder(tmp_path, queries=60).sweep("mask_ratio").parents[2].glob("runs/*/result.json")))
    path.write_text(path.read_text()[:300])
    assert table.main([str(tmp_path)]) == 0
    message = capsys.readouterr().err
    assert message.startswith("Left out: 1 of")
    assert f"runs/{path.parent.name}/: result.json is not whole JSON" in message


def test_a_sweep_with_nothing_finished_makes_the_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builder = Builder(tmp_path, queries=60)
    builder.sweep("objectives")
    builder.sweep("data_fraction", seeds=(5,), unfinished=[(k, 5) for k in range(4)])
    assert table.main([str(tmp_path)]) == 1
    assert "data_fraction-tiny: nothing finished yet. Unfinished: 0 of 4 runs are done." in capsys.readouterr().err


def test_runs_without_a_sweep_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder = Builder(tmp_path, queries=60)
    builder.sweep("objectives").unlink()
    assert plot.main([str(tmp_path)]) == 2
    assert "5 finished runs, but no sweep" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [["analysis/table.py"], ["-m", "analysis.table"], ["analysis/plot.py", "--format", "png"], ["analysis/report.py"]],
)
def test_commands_run_as_files_and_as_modules_without_torch(folder: Path, command: list[str]) -> None:
    """As in the README; -X importtime lists every module that was imported."""
    script = [sys.executable, "-X", "importtime", *command, str(folder), "--only", "objectives"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "simvtp.config.schema" in imported
    assert not {name for name in imported if name.split(".")[0] == "torch"}


def test_an_empty_folder_is_one_clear_paragraph_and_exit_code_2(tmp_path: Path) -> None:
    for script in ("analysis/table.py", "analysis/plot.py"):
        done = subprocess.run(
            [sys.executable, script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: Nothing to show in {tmp_path}: it holds no finished run")
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "tables").exists()


def test_wrap_starts_with_a_capital_and_keeps_the_words() -> None:
    assert wrap("mask ratio: no difference", 0.096, size=7.2) == "Mask ratio:\nno\ndifference"
