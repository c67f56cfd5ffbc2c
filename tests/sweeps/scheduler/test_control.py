"""--cancel where runs belong to several users."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from simvtp.config.presets import preset
from sweeps.plan import make_plan
from sweeps.state.run_states import RunRegistry

PROGRAM = """
import os, sys
from pathlib import Path
from simvtp.cli import boundary
from simvtp.config.presets import preset
from simvtp.runtime.log import stdout_console
from sweeps.plan import make_plan
from sweeps.scheduler import control
from sweeps.state.run_states import RunRegistry
plan, registry = make_plan("finetune_lr", "tiny", preset("tiny"), (0,)), RunRegistry(Path(sys.argv[1]))
os.setgroups([]); os.setgid(60002); os.setuid(60002)  # after the imports: Python may lie in root's folder_of
sys.exit(boundary(lambda: control.cancel(stdout_console(), plan, registry, list(plan.runs.values()))))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
@pytest.mark.parametrize("claimed", [False, True], ids=["at work", "submitted"])
def test_a_run_of_another_user_is_refused_before_anything_is_changed(claimed: bool) -> None:
    plan = make_plan("finetune_lr", "tiny", preset("tiny"), (0,))
    with tempfile.TemporaryDirectory() as name:  # a folder that every user may enter, unlike those of pytest
        results = Path(name) / "results"
        registry = RunRegistry(results)
        *own, other = plan.runs.values()
        for run in plan.runs.values():
            registry.folder(run.id).mkdir(parents=True)
            os.chown(registry.folder(run.id), 60002, 60002)
        theirs = registry.folder(other.id) / ("job.json" if claimed else "lock")
        theirs.write_text('{"token": "x", "task": 0}\n')
        os.chown(theirs, 60001, 60001)
        for folder in (Path(name), results, results / "runs", *(results / "runs").iterdir()):
            folder.chmod(0o777)
        line = [sys.executable, "-c", PROGRAM, str(results)]
        refused = subprocess.run(line, capture_output=True, text=True, check=False)
        assert refused.returncode == 2, refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert f"run {other.id}" in refused.stderr
        assert "belongs to user 60001, who alone can cancel it; nothing was cancelled" in refused.stderr
        assert list(results.rglob("failure.json")) == []

        os.chown(theirs, 60002, 60002)
        if not claimed:
            theirs.unlink()  # nobody is at work
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert len(list(results.rglob("failure.json"))) == len(own) + 1
