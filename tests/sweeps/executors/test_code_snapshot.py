from pathlib import Path

import pytest

from sweeps.executors import code_snapshot
from sweeps.executors.local import Local
from sweeps.plan import Run
from sweeps.state.run_states import RunRegistry


def test_runs_of_one_command_use_one_copy_however_the_code_is_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "checkout" / "simvtp" / "model.py"
    source.parent.mkdir(parents=True)
    source.write_text("one")
    monkeypatch.setattr(code_snapshot, "PACKAGES", {"simvtp": source.parent})
    results = tmp_path / "results"
    here = Local(RunRegistry(results), "tiny", 1)
    here.attach([])
    assert not results.exists()  # nothing is to be run
    run = Run("0", None, None, "", 0)  # type: ignore[arg-type]
    here.attach([run])
    source.write_text("two")
    assert (code_snapshot.snapshot_code(results) / "simvtp" / "model.py").read_text() == "one"
    code_snapshot.snapshot_code.cache_clear()  # the next command
    assert (code_snapshot.snapshot_code(results) / "simvtp" / "model.py").read_text() == "two"
    assert len(list((results / "code").iterdir())) == 2
