import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simvtp.errors import ConfigError
from sweeps.executors.base import place
from sweeps.executors.local import Debug, Local, deaf_to_ctrl_c, surroundings, visible_gpus
from sweeps.state.run_states import Ledger


@pytest.mark.parametrize(("named", "gpus"), [("2,3", [2, 3]), ("", []), ("0", [0])])
def test_gpus_are_those_that_this_process_may_use(named: str, gpus: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == gpus


def test_runs_at_once_have_cores_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3, 6})
    two, many = Local(Ledger(tmp_path), "tiny", 2), Local(Ledger(tmp_path), "tiny", 9)
    assert [two.cores_of(slot) for slot in (0, 1)] == [[0, 1], [2, 3]]
    assert many.cores_of(4) == [0, 1, 2, 3, 6]

    class Job:
        class _process:
            code: int | None = None

            @classmethod
            def poll(cls) -> int | None:
                return cls.code

    for slot in (0, 1, 2):
        assert two._free_slot() == slot
        two.holders.append((Job, slot))
    Job._process.code = 0
    assert two._free_slot() == 0


def test_surroundings_reach_children_and_end() -> None:
    show = [sys.executable, "-c", "import os; print(os.environ.get('SIMVTP_X'), os.sched_getaffinity(0))"]
    core = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    with surroundings({"SIMVTP_X": "y"}, [core]):
        inside = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    assert inside == f"y {{{core}}}\n"
    assert (os.environ.get("SIMVTP_X"), os.sched_getaffinity(0)) == (None, before)


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    ledger = Ledger(tmp_path)
    assert isinstance(place("auto", ledger, "tiny", None, 1), Local)
    assert place("local", ledger, "tiny", None, 2).capacity == 2
    assert place("local", ledger, "tiny", 3, 2).capacity == 3
    assert isinstance(place("debug", ledger, "tiny", None, 1), Debug)
    with pytest.raises(ConfigError, match="no sbatch"):
        place("slurm", ledger, "tiny", None, 1)
    with pytest.raises(ConfigError, match="--cluster moon"):
        place("moon", ledger, "tiny", None, 1)
    with pytest.raises(ConfigError, match="--pack 2: it is for jobs of SLURM"):
        place("local", ledger, "tiny", None, 1, 2)


def test_local_jobs_are_born_deaf_to_ctrl_c_and_this_process_is_not() -> None:
    show = [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"]
    before = signal.getsignal(signal.SIGINT)
    with deaf_to_ctrl_c():
        inside = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    assert inside == "True\n"
    assert signal.getsignal(signal.SIGINT) == before
    assert subprocess.run(show, capture_output=True, text=True, check=True).stdout == "False\n"
