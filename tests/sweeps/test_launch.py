import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simvtp.validation import ConfigError
from sweeps.launch import Debug, Local, deaf_to_ctrl_c, place, visible_gpus
from sweeps.ledger import Ledger


@pytest.mark.parametrize(("named", "gpus"), [("2,3", [2, 3]), ("", []), ("0", [0])])
def test_gpus_are_those_that_this_process_may_use(
    named: str, gpus: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == gpus
    local = Local(Ledger(tmp_path), "small", 2)

    class Job:
        class _process:
            @staticmethod
            def poll() -> None:
                return None

    for wanted in [*gpus, *gpus][: 2 * len(gpus)]:  # one after the other, each as often
        assert local._emptiest_gpu() == wanted
        local.holders.append((Job, wanted))


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


def test_local_jobs_are_born_deaf_to_ctrl_c_and_this_process_is_not() -> None:
    show = [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"]
    before = signal.getsignal(signal.SIGINT)
    with deaf_to_ctrl_c():
        inside = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    assert inside == "True\n"
    assert signal.getsignal(signal.SIGINT) == before
    assert subprocess.run(show, capture_output=True, text=True, check=True).stdout == "False\n"
