"""Folders that no sweep writes: every command says what is wrong with which file, and shows the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis import compare, plot, report, table
from analysis.runs.load import load
from analysis.stats.summary import summarise
from tests.analysis.figures.test_search import write_journal
from tests.analysis.folders import Builder, Change, edit, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Builder(tmp_path, queries=50).sweep("mask_ratio", seeds=(0, 1))
    return tmp_path


def a_run(folder: Path, point: int, seed: int) -> Path:
    runs = json.loads((folder / "sweeps/mask_ratio-tiny/sweep.json").read_text())["runs"]
    (name,) = [run["run"] for run in runs if (run["point"], run["seed"]) == (point, seed)]
    return folder / "runs" / name / "result.json"


def codes(folder: Path) -> list[int]:
    """Exit codes of all commands; none may end in a traceback."""
    return [
        table.main([str(folder)]),
        plot.main([str(folder), "--format", "png"]),
        report.main([str(folder)]),
        compare.main([str(folder), str(folder)]),
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c["metrics"].update(test_seen=[1]), "metrics.test_seen"),
        (lambda c: c["metrics"]["test_seen"].update(text_to_video=5), "metrics.test_seen.text_to_video"),
        (lambda c: c["metrics"]["test_seen"]["text_to_video"].update({"R@1": "x"}), "test_seen.text_to_video.R@1"),
        (lambda c: c["metrics"]["test_seen"]["text_to_video"].update({"R@1": None}), "test_seen.text_to_video.R@1"),
        (lambda c: c["metrics"]["test"]["text_to_video"].update({"R@5": 250.0}), "its ranks give"),
        (lambda c: c["metrics"]["test"]["video_to_text"].update({"R@10": 1.0}), "its ranks give"),
        (lambda c: c["metrics"]["test"]["video_to_text"].update({"MdR": 1.0}), "MdR is 1.0"),
        (lambda c: c["cost"].update(pretrain_seconds="long"), "cost.pretrain_seconds"),
        (lambda c: c["cost"].update(devices="two"), "cost.devices"),
        (lambda c: c["config"].pop("seed"), "seed"),
        (lambda c: c["config"].update({"mask.video": [0.5]}), "config.mask.video"),
        (lambda c: c.update(preset=None), "preset"),
        (lambda c: c.update(pretrain=[1]), "pretrain"),
        (lambda c: c["corpus"].update(test={}), "corpus.test"),
        (lambda c: c.update(losses=[1]), "losses"),
        (lambda c: c.update(controls=[1]), "controls"),
        (lambda c: c["metrics"]["test"]["text_to_video"].update({"gallery": None}), "text_to_video.gallery"),
    ],
)
def test_a_result_of_another_form_is_left_out_by_the_field_s_name(
    folder: Path, capsys: pytest.CaptureFixture[str], change: Change, why: str
) -> None:
    path = a_run(folder, 4, 1)
    edit(path, change)
    assert len(load(folder).runs) == 13
    capsys.readouterr()
    assert table.main([str(folder)]) == 0
    error = capsys.readouterr().err
    assert why in error
    assert path.parent.name in error


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c["runs"][0].update(point="x"), "point"),
        (lambda c: c["runs"][0].update(point=-1), "point"),
        (lambda c: c["runs"][0].update(point=99), "point"),
        (lambda c: c["runs"][0].update(seed="x"), "seed"),
        (lambda c: c["base"].pop("mask.video"), "mask.video"),
        (lambda c: c.update(axes="mask.video"), "axes"),
        (lambda c: c.update(axes=["mask.colour"]), "mask.colour"),
        (lambda c: c.update(base=[]), "sweep.json"),
    ],
)
def test_a_sweep_of_another_form_is_left_out_by_name(
    folder: Path, capsys: pytest.CaptureFixture[str], change: Change, why: str
) -> None:
    Builder(folder, queries=50).sweep("objectives")
    edit(folder / "sweeps/mask_ratio-tiny/sweep.json", change)
    assert table.main([str(folder)]) == 0
    error = capsys.readouterr().err
    assert "sweeps/mask_ratio-tiny/sweep.json" in error
    assert why in error


def test_labels_are_shown_as_they_are_in_every_form(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = r"$\bad$ :smile: [red]x"

    def rename(content: dict[str, Any]) -> None:
        content["points"][0]["label"] = label.replace(" ", "\n")
        content["title"] = "a $title$\nof two lines"

    edit(folder / "sweeps/mask_ratio-tiny/sweep.json", rename)
    assert codes(folder) == [0, 0, 0, 0]
    assert label in capsys.readouterr().out
    text = (folder / "tables/mask_ratio-tiny.md").read_text()
    assert text.startswith("# a $title$ of two lines\n")
    assert f"| {label} |" in text


@pytest.mark.parametrize(
    "content", ["[]", '{"packages": []}', '{"code": "x"}', '{"packages": {"torch": {}}}', "{", '{"python": [1]}']
)
def test_a_damaged_environment_counts_as_none_kept(folder: Path, content: str) -> None:
    (a_run(folder, 0, 0).parent / "environment.json").write_text(content)
    assert codes(folder) == [0, 0, 0, 0]


def test_a_picture_that_is_none_is_named_and_the_rest_is_shown(folder: Path) -> None:
    (folder / "figures").mkdir()
    (folder / "figures/reconstruct-abc-video1.png").write_text("no picture")
    assert report.main([str(folder)]) == 0
    assert "reconstruct-abc-video1.png is not a whole PNG" in (folder / "report.html").read_text()


def other_queries(path: Path, queries: int, corpus: str | None) -> None:
    def change(content: dict[str, Any]) -> None:
        content["corpus"]["test"] = corpus
        for way in ("text_to_video", "video_to_text"):
            content["ranks"]["test"][way] = [1.0] * queries
            content["metrics"]["test"][way] |= {"R@1": 100.0, "R@5": 100.0, "R@10": 100.0, "MdR": 1.0, "MnR": 1.0}

    edit(path, change)


def test_other_query_counts_are_never_averaged_even_where_no_corpus_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (folder / "runs").glob("*/result.json"):
        edit(path, lambda content: content["corpus"].update(test=None, finetune=None))
    other_queries(a_run(folder, 0, 1), 30, None)
    assert codes(folder) == [0, 0, 0, 0]
    assert "30/30 queries" in capsys.readouterr().err
    results = load(folder)
    assert list(summarise(results.sweeps[0], results).rows[0].runs) == [0]


@pytest.mark.parametrize("queries", [50, 30])
def test_points_on_another_test_corpus_are_shown_but_not_compared(folder: Path, queries: int) -> None:
    """A sweep over corpora: its rows have levels, and no difference to a base that was asked other queries."""
    for seed in (0, 1):
        path = a_run(folder, 0, seed)
        other_queries(path, queries, "another")
        edit(path, lambda content: content["config"].update({"data.finetune": "sprites:other"}))
    edit(
        folder / "sweeps/mask_ratio-tiny/sweep.json",
        lambda content: content["points"][0]["set"].update({"data.finetune": "sprites:other"}),
    )
    assert codes(folder) == [0, 0, 0, 0]
    results = load(folder)
    row, *others = summarise(results.sweeps[0], results).rows
    assert row.seeds == 2
    assert row.difference is None
    assert all(other.difference for other in others if not other.point.base)


def test_a_folder_that_cannot_be_written_to_is_said_with_the_way_out(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name, main in (("tables", table.main), ("figures", plot.main), ("report.html", report.main)):
        if name == "report.html":
            (folder / name).mkdir()  # stands for a disk that refuses: root may write everywhere
        else:
            (folder / name).write_text("in the way")
        assert main([str(folder)]) == 2
        error = capsys.readouterr().err
        assert str(folder / name) in error
        assert "--output" in error
        assert main([str(folder), "--output", str(elsewhere / name)]) == 0
    assert (elsewhere / "tables/mask_ratio-tiny.csv").exists()


def test_a_gallery_that_is_not_told_is_counted(folder: Path) -> None:
    for path in (folder / "runs").glob("*/result.json"):
        edit(path, lambda content: content["metrics"]["test"]["text_to_video"].pop("gallery"))
    assert codes(folder) == [0, 0, 0, 0]
    results = load(folder)
    assert summarise(results.sweeps[0], results).gallery == 50


def test_a_sweep_without_axes_is_shown_by_its_labels(folder: Path) -> None:
    edit(folder / "sweeps/mask_ratio-tiny/sweep.json", lambda content: content.update({"axes": []}))
    assert codes(folder) == [0, 0, 0, 0]


def test_a_part_and_the_whole_of_paper_can_be_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paper = {"version": 1, "name": "paper", "parts": ["mask_ratio-tiny"]}
    write(folder / "sweeps/paper-tiny/sweep.json", paper)
    assert table.main([str(folder), "--only", "paper"]) == 0
    assert "mask_ratio-tiny.{md,tex,csv}" in capsys.readouterr().out


def test_parts_of_another_form_are_left_out_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "sweeps/paper-tiny/sweep.json", {"version": 1, "name": "paper", "parts": 3})
    assert table.main([str(folder)]) == 0
    assert "sweeps/paper-tiny/sweep.json: sweep.json: parts is 3, not a list of folders" in capsys.readouterr().err


def test_a_search_is_said_to_have_no_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_journal(folder / "sweeps/search-tiny/study.journal", 3)
    assert table.main([str(folder), "--only", "search"]) == 0
    assert "search-tiny is a search and has no table" in capsys.readouterr().err


def test_a_base_that_is_no_number_is_shown_by_its_label(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder / "sweeps/mask_ratio-tiny/sweep.json", lambda content: content["base"].update({"mask.text": "most"}))
    assert table.main([str(folder)]) == 0
    assert "its mask.text is 0.75, the sweep's 'most'" in capsys.readouterr().err
