"""Records of a search that are damaged: named, or left out and written anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simvtp.errors import ConfigError
from simvtp.runtime.files import write_json
from sweeps.search.trials import Trials
from sweeps.study.storage import Copy, Journal
from tests.sweeps.search.test_trials import space

NAME = "search-tiny"


@pytest.mark.parametrize("point", [5, {}, {"mask.video": 0.9}, {"mask.video": "x", "mask.text": 0.5}])
def test_a_point_of_another_space_is_left_out(point: object, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = {"mask.video": 0.75, "mask.text": 0.3}
    write_json(tmp_path / NAME / "search.json", {"trials": [good, point]})
    trials = Trials(space(), tmp_path / NAME, Journal(tmp_path / NAME / "study.journal"))
    assert trials.points() == [good]
    assert "no point of this search" in caplog.text


@pytest.mark.parametrize("line", ["[" * 100_000, "null", "5", json.dumps({"op_code": 0, "study_name": "other"})])
def test_a_journal_of_another_kind_is_named(line: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / NAME / "study.journal")
    journal.path.parent.mkdir()
    journal.path.write_text(line + "\n")
    with pytest.raises(ConfigError, match=rf"{NAME}"):
        Trials(space(), tmp_path / NAME, Copy(journal, NAME))
    assert journal.path.read_text() == line + "\n"
