"""Batch scripts, and what refusals of sbatch mean."""

from pathlib import Path

import pytest

from sweeps.executors.base import Refused
from sweeps.executors.sbatch import batch_script, submit, try_out

SAID = {
    "Batch job submission failed: Required partition not available (inactive or drain)": True,
    "Batch job submission failed: Unable to contact slurm controller (connect failure)": True,
    "Batch job submission failed: Protocol authentication error": True,
    "Batch job submission failed: Socket timed out on send/recv operation": True,
    "Batch job submission failed: Invalid partition name specified": False,
    "Batch job submission failed: Requested node configuration is not available": False,
    "Batch job submission failed: Invalid feature specification": False,
}


def test_a_script_asks_for_what_the_cluster_says(tmp_path: Path) -> None:
    options = {"partition": "gpu", "mem": None, "nodes": 2, "exclusive": True, "comment": "a b"}
    lines = batch_script(tmp_path, options, ["module load cuda"], 7, 3).splitlines()
    assert lines[0] == "#!/bin/bash"
    written = {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")}
    assert written == {
        "array=0-6%3", f"output={tmp_path}/%A_%a_0_log.out", "open-mode=append", "requeue", "kill-on-invalid-dep=yes",
        "partition=gpu", "nodes=2", "exclusive", "comment='a b'",
    }  # fmt: skip
    assert "module load cuda" in lines
    assert f"-m sweeps.executors.job {tmp_path}" in lines[-1]
    assert lines[-1].startswith(f"srun --unbuffered --output={tmp_path}/%A_%a_%t_log.out")


def sbatch(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    path = folder / "bin" / "sbatch"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")


@pytest.mark.parametrize(("said", "passes"), SAID.items())
def test_refusals_that_can_pass_are_told_from_those_that_cannot(
    said: str, passes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbatch(tmp_path, monkeypatch, f"echo 'sbatch: error: {said}' >&2; exit 1")
    for call in (lambda: submit(tmp_path / "x.sh", "lab"), lambda: try_out("", "lab")):
        with pytest.raises(Refused) as caught:
            call()
        assert caught.value.transient == passes
        assert said in str(caught.value)
        assert "cluster lab" in str(caught.value)


def test_the_number_of_a_job_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sbatch(tmp_path, monkeypatch, "echo '4711;lab'")
    assert submit(tmp_path / "x.sh", "lab") == "4711"
