"""What of a plan is of other code, before any of its runs begins."""

from pathlib import Path

import pytest

from simvtp.config.code_version import OtherCode
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.runtime.files import write_json
from simvtp.runtime.locks import Busy, Lock
from sweeps.plan import make_plan
from sweeps.state.other_code import settle
from sweeps.state.run_states import RunRegistry


def test_results_of_other_code_are_refused_and_redo_spares_a_run_at_work(tmp_path: Path) -> None:
    plan, registry = make_plan("finetune_lr", "tiny", preset("tiny"), (0,)), RunRegistry(tmp_path)
    first, *_ = plan.runs
    result = registry.folder(first) / "result.json"
    write_json(result, {"version": 1})  # of a code that is not recorded
    with pytest.raises(OtherCode, match=rf"1 run or stage is \({first}\).*--redo"):
        settle(plan, tmp_path)
    plan.base = override(plan.base, {"machine.other_code": "redo"})
    with Lock(result.with_name("lock")), pytest.raises(Busy, match=r"is in use by .*; --status shows how far it is"):
        settle(plan, tmp_path)
    assert result.exists()
    settle(plan, tmp_path)
    assert not result.exists()
