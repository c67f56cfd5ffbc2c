"""Damaged results folders end in no traceback and no hang; `python -m tests.fuzz.results_folder` tries many more."""

from __future__ import annotations

import pytest

from tests.fuzz.results_folder import fuzz


@pytest.mark.slow
def test_fifty_damaged_folders_are_shown_or_refused() -> None:
    counts = fuzz(50)
    assert counts.faults == []
    assert counts.cases == 50
    assert counts.ends["code 0"] > 50
    assert counts.ends.keys() <= {"code 0", "code 1", "code 2"}
