"""Where runs live: flat as a rule, deeper where a sweep is large, and found in both."""

from pathlib import Path

import pytest

from simvtp.config import run_dirs
from simvtp.config.run_dirs import RUNS, folder_of, prepare


def test_a_run_is_found_where_it_is(tmp_path: Path) -> None:
    assert folder_of(tmp_path, RUNS, "ab12") == tmp_path / "runs" / "ab12"
    deep = tmp_path / "runs" / "ab" / "ab12"
    deep.mkdir(parents=True)
    assert folder_of(tmp_path, RUNS, "ab12") == deep
    (tmp_path / "runs" / "ab12").mkdir()  # as made by a process that looked before the other was there
    assert folder_of(tmp_path, RUNS, "ab12") == tmp_path / "runs" / "ab12"


def test_all_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("cd34", "ab/ab12", "ab/ab99", "aa11", "ab"):
        (tmp_path / "runs" / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / "runs" / "lock").touch()
    assert [folder.name for folder in run_dirs.folders_of(tmp_path, RUNS)] == ["aa11", "ab12", "ab99", "cd34"]
    assert run_dirs.folders_of(tmp_path, "pretrained") == []


def test_only_what_would_be_too_many_goes_deeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_dirs, "FEW", 3)
    prepare(tmp_path, RUNS, ["aa1", "ab1", "ba1"])
    assert not (tmp_path / "runs").exists()
    for name in ("aa1", "ab1"):
        folder_of(tmp_path, RUNS, name).mkdir(parents=True)
    prepare(tmp_path, RUNS, ["aa1", "ab1", "ba1", "bb1"])
    actual = sorted(str(path.relative_to(tmp_path / "runs")) for path in run_dirs.folders_of(tmp_path, RUNS))
    assert actual == ["aa1", "ab1", "ba/ba1", "bb/bb1"]
    prepare(tmp_path, RUNS, ["aa1", "ab1", "ba1", "bb1"])  # all are there: nothing moves
    assert len(run_dirs.folders_of(tmp_path, RUNS)) == 4
