"""Two results folders side by side: what is found to differ, to be the same, and to be missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis import compare
from analysis.runs.load import load
from analysis.stats.diff import diff_results
from tests.analysis.folders import Builder, write

ENVIRONMENT = {"packages": {"torch": "2.13.0"}, "python": "3.11.2", "code": {"commit": "abc", "diff": ""}}


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    first, second = tmp_path / "A", tmp_path / "B"
    builder = Builder(first, queries=200)
    builder.sweep("data_fraction", seeds=(0, 1, 2))
    for name in builder.written:
        write(first / "runs" / name / "environment.json", ENVIRONMENT)
    shutil.copytree(first, second)
    return first, second


def edit(folder: Path, changes: Callable[[dict[str, Any]], bool]) -> None:
    """Change every result for which `changes` returns True."""
    for path in folder.glob("runs/*/result.json"):
        content = json.loads(path.read_text())
        if changes(content):
            write(path, content)


def move_hits(content: dict[str, Any]) -> bool:
    """Ten first ranks of data 10% become second: R@1 falls by 5 points of 200 queries."""
    if content["config"]["data.fraction"] != 0.1:
        return False
    ranks = content["ranks"]["test"]["text_to_video"]
    firsts = [k for k, rank in enumerate(ranks) if rank == 1][:10]
    for k in firsts:
        ranks[k] = 2.0
    content["metrics"]["test"]["text_to_video"]["R@1"] -= 5.0
    return True


def test_a_folder_and_its_copy_are_the_same(both: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main([str(both[0]), str(both[1])]) == 0
    text = capsys.readouterr().out
    assert text.count("the same ranks") == 4
    assert "12 runs in both" in text
    assert "the same settings, code and environment" in text
    assert "differ in" not in text


def test_a_difference_is_paired_and_shown_with_its_interval(both: tuple[Path, Path]) -> None:
    edit(both[1], move_hits)
    (pair,) = diff_results(load(both[0]), load(both[1])).sweeps
    changed = [line for line in pair.points if len(line.same) < 3]
    assert [line.first.label for line in changed] == ["10%"]
    difference = changed[0].difference
    assert difference is not None
    assert difference.interval.mean == pytest.approx(-5.0, abs=1e-4)
    assert difference.interval.seeds == 3
    assert difference.verdict == "lower"
    assert pair.first.rows[0].mean("R@1") - pair.second.rows[0].mean("R@1") == pytest.approx(5.0)


def test_settings_code_and_environment_that_differ_are_named(both: tuple[Path, Path], tmp_path: Path) -> None:
    name = sorted(path.name for path in (both[1] / "runs").iterdir())[0]
    code = {"commit": "def", "diff": "+one\n+two\n"}
    write(both[1] / "runs" / name / "environment.json", {**ENVIRONMENT, "packages": {"torch": "2.14.0"}, "code": code})
    edit(both[1], lambda content: content["run"] == name and not content["config"].update({"machine.threads": 9}))
    out = tmp_path / "out.md"
    assert compare.main([str(both[0]), str(both[1]), "--output", str(out)]) == 0
    (pair,) = diff_results(load(both[0]), load(both[1])).sweeps
    (odd,) = [group for group in pair.groups if group.differing]
    assert len(odd.runs) == 1
    assert odd.differing == {
        "machine.threads": (str(load(both[0]).runs[name].config["machine.threads"]), "9"),
        "torch": ("2.13.0", "2.14.0"),
        "commit": ("abc", "def"),
        "changes without a commit": ("0 lines", "2 lines"),
    }
    assert "| torch | 2.13.0 | 2.14.0 |" in out.read_text()


def test_an_environment_that_only_one_side_kept_is_said(both: tuple[Path, Path]) -> None:
    for path in both[1].glob("runs/*/environment.json"):
        path.unlink()
    (pair,) = diff_results(load(both[0]), load(both[1])).sweeps
    assert [group.differing for group in pair.groups] == [{"environment": ("recorded", "not recorded")}]


def test_what_only_one_of_them_has_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Builder(tmp_path / "A", queries=50).sweep("data_fraction", seeds=(0, 1, 2), unfinished=[(3, 0)])
    Builder(tmp_path / "B", queries=50).sweep("data_fraction", seeds=(0,), unfinished=[(1, 0)])
    Builder(tmp_path / "B", queries=50).sweep("objectives")
    assert compare.main([str(tmp_path / "A"), str(tmp_path / "B")]) == 0
    text = capsys.readouterr().out
    assert "Only in B: objectives-tiny." in text
    assert "A is unfinished: 11 of 12 runs." in text
    assert "Finished only in A: 10%: seeds 1, 2; 25%: seeds 0, 1, 2; 50%: seeds 1, 2" in text
    assert "Finished only in B: 100% (base): seed 0" in text
    assert "not finished in B" in text
    assert "no seed in both" in text
    assert "the same settings; of code and environment nothing was kept" in text


def test_another_test_corpus_is_never_subtracted(both: tuple[Path, Path]) -> None:
    edit(both[1], lambda content: not content["corpus"].update(test="other"))
    (pair,) = diff_results(load(both[0]), load(both[1])).sweeps
    assert all(line.difference is None for line in pair.points)
    assert {line.obstacle for line in pair.points} == {"another test corpus: levels cannot be compared"}
    assert [group.differing for group in pair.groups] == [{"corpus test": ("sprites:tiny", "other")}]


def test_sweeps_of_other_presets_are_matched_by_name_and_their_settings_told(tmp_path: Path) -> None:
    Builder(tmp_path / "A", queries=50).sweep("data_fraction")
    Builder(tmp_path / "B", queries=50, preset="small").sweep("data_fraction")
    actual = diff_results(load(tmp_path / "A"), load(tmp_path / "B"))
    (pair,) = actual.sweeps
    assert pair.settings["model.width"] == ("64", "256")
    assert actual.only_first == actual.only_second == []


def test_nothing_in_common_and_nothing_to_read_have_codes_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Builder(tmp_path / "A", queries=50).sweep("data_fraction")
    Builder(tmp_path / "B", queries=50).sweep("objectives")
    assert compare.main([str(tmp_path / "A"), str(tmp_path / "B")]) == 1
    assert "no sweep in common" in capsys.readouterr().err
    assert compare.main([str(tmp_path / "A"), str(tmp_path / "C")]) == 2
    assert "there is no such folder" in capsys.readouterr().err
