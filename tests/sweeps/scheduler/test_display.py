import io
import sys

import pytest
from rich.console import Console

from simvtp.config.presets import preset
from sweeps.plan import make_plan
from sweeps.scheduler.display import command_line, status_table
from sweeps.state.run_states import RunState


def test_on_a_narrow_terminal_ids_and_states_are_whole() -> None:
    plan = make_plan("objectives", "tiny", preset("tiny"), (0,))
    line = {"stage": "finetune", "step": 110, "steps": 400, "epoch": 1.5, "loss": 10.124, "R@1": 16.7, "time": 0.0}
    states = dict.fromkeys(plan.runs, RunState("queued", line=line, reason="Dependency"))
    out = io.StringIO()
    Console(file=out, width=80).print(status_table(plan, states))
    rows = [row for row in out.getvalue().splitlines() if row.startswith("│")]
    for run in plan.runs:
        (row,) = (row for row in rows if run in row)
        for whole in ("queued (Dependency)", "110/400", "10.124", "16.7"):
            assert whole in row
    assert max(map(len, rows)) <= 80


def test_a_record_has_the_command_as_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    assert command_line(["mine.py", "--set=a=1 steps"]) == "python sweeps/run.py mine.py '--set=a=1 steps'"
    monkeypatch.setattr(sys, "argv", ["simvtp sweep", "mine.py"])
    assert command_line(["mine.py"]) == "simvtp sweep mine.py"
