"""A short run of the fuzzer, and that it finds what it is to find."""

from __future__ import annotations

import pytest

from tests.fuzz import config_values


def test_config_values_are_accepted_or_refused() -> None:
    counts = config_values.fuzz(0, 400)
    assert counts.faults == []
    assert counts.cases == 400
    assert counts.ends["accepted"] > 20
    assert counts.ends["show: code 0"] > 5
    assert counts.ends["config.json: read"] > 5


def test_another_exception_and_a_long_message_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise config_values.ConfigError("x" * 3000)

    monkeypatch.setattr(config_values, "override", broken)
    assert "a message of 3000 characters" in config_values.fuzz(0, 1).faults[0]

    def worse(*_: object) -> None:
        raise KeyError("video")

    monkeypatch.setattr(config_values, "override", worse)
    assert "KeyError: 'video'" in config_values.fuzz(0, 1).faults[0]
