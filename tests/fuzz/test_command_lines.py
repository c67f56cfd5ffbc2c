"""A short run of the fuzzer, and that it finds what it is to find."""

from __future__ import annotations

from pathlib import Path

import pytest

from simvtp.config import __main__ as show
from tests.fuzz import command_lines, command_words
from tests.fuzz.harness import Counts


@pytest.mark.slow
def test_command_lines_end_as_a_command_may() -> None:
    counts = command_lines.fuzz(0, 40)
    assert counts.faults == []
    assert counts.cases == 40
    assert counts.ends["code 2"] > 5
    assert counts.ends.keys() <= {"code 0", "code 1", "code 2", "code 3", "trains"}


@pytest.mark.parametrize("error", [KeyError("video"), SystemExit("odd")])
def test_another_exception_is_a_finding(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(show, "_show", broken)
    counts, spec = Counts(), command_words.Spec("simvtp.config.__main__")
    counts.judge("case", lambda: command_lines.run_line(spec, ["show"]), 60)
    assert len(counts.faults) == 1
    assert ("KeyError: 'video'" if isinstance(error, KeyError) else "code odd") in counts.faults[0]


def test_no_word_leads_out_of_the_folder_of_a_case() -> None:
    values = [value for spec in command_words.SPECS for usual in spec.options.values() for value in usual]
    for word in (*command_words.WORDS, *command_words.PATHS, *values):
        if word == "sqlite:///x.db":  # which is relative
            continue
        assert not Path(word.rpartition("=")[2].rpartition(":")[2]).is_absolute(), word
        assert ".." not in word
