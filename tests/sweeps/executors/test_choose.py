from pathlib import Path

import pytest

from simvtp.errors import ConfigError
from sweeps.executors.choose import make_executor
from sweeps.executors.debug import Debug
from sweeps.executors.local import Local
from sweeps.executors.slurm import Slurm
from sweeps.state.run_states import RunRegistry


def test_executors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    registry = RunRegistry(tmp_path)
    assert isinstance(make_executor("auto", registry, "tiny", None, 1), Local)
    assert make_executor("local", registry, "tiny", None, 2).capacity == 2
    assert make_executor("local", registry, "tiny", 3, 2).capacity == 3
    assert isinstance(make_executor("debug", registry, "tiny", None, 1), Debug)
    with pytest.raises(ConfigError, match="no sbatch"):
        make_executor("slurm", registry, "tiny", None, 1)
    with pytest.raises(ConfigError, match="--cluster moon"):
        make_executor("moon", registry, "tiny", None, 1)
    with pytest.raises(ConfigError, match=r"--pack 2.*--cluster local"):
        make_executor("debug", registry, "tiny", None, 1, 2)


@pytest.mark.parametrize(("gpus", "jobs", "pack", "at_once"), [
    ("", None, 3, 3), ("0", None, 4, 4), ("0,1", None, 4, 8), ("0,1", 5, 4, 5), ("0", 9, 4, 4), ("0,1", None, None, 1),
])  # fmt: skip
def test_a_pack_is_of_each_gpu(
    gpus: str, jobs: int | None, pack: int | None, at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert make_executor("local", RunRegistry(tmp_path), "tiny", jobs, 2, pack).capacity == at_once


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that is the whole path, with an sbatch."""
    folder = tmp_path / "bin"
    folder.mkdir()
    write(folder / "sbatch", "exit 1")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def write(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("echo main up", Slurm),
        ("echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1", Slurm),
        ("echo 'Protocol authentication error' >&2; exit 1", Slurm),
        ("echo 'sinfo: fatal: Could not establish a configuration source' >&2; exit 1", Local),
    ],
)
def test_auto_never_trains_on_a_login_node_because_slurm_is_away(
    answer: str, kind: type, programs: Path, tmp_path: Path
) -> None:
    write(programs / "sinfo", answer)
    assert isinstance(make_executor("auto", RunRegistry(tmp_path), "tiny", None, 1), kind)
