"""Exit codes of the analysis commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis import compare, document, plot, report, table
from tests.analysis.folders import Builder

COMMANDS = {"table": table, "plot": plot, "report": report, "document": document, "compare": compare}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_error_has_code_1_and_its_report_in_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Builder(tmp_path, queries=20).sweep("objectives")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("no such case")

    monkeypatch.setattr("analysis.runs.load.load", broken)
    monkeypatch.setattr("analysis.compare.load", broken)
    arguments = [str(tmp_path)] * (2 if name == "compare" else 1)
    assert COMMANDS[name].main(arguments) == 1
    message = capsys.readouterr().err
    assert "Traceback" not in message
    path = re.search(r"the report is (\S+)", message)
    assert path is not None
    written = Path(path[1])
    assert "ZeroDivisionError: no such case" in written.read_text()
    written.unlink()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_is_not_there_has_code_2(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(tmp_path / "nowhere")] * (2 if name == "compare" else 1)
    assert COMMANDS[name].main(arguments) == 2
    assert "nowhere" in capsys.readouterr().err
