"""What the umask and a group's folder make of files and folders, and what is said where they refuse."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simvtp.errors import ConfigError
from simvtp.runtime.files import write_json

PROGRAM = """
import os, sys
from pathlib import Path
from simvtp.cli import main
from simvtp.runtime.files import read_json, write_json
from simvtp.runtime.locks import Lock
from simvtp.training.progress import Log
group, user, mask = map(int, sys.argv[2:])
os.umask(mask)
os.setgroups([group]); os.setgid(user); os.setuid(user)  # after the imports: Python may lie in root's folder_of
def work():
    folder = Path(sys.argv[1]) / "runs" / "id"
    with Lock(folder / "lock"):
        path = folder / "config.json"
        write_json(path, [user, *(read_json(path) if path.exists() else ())])
        log = Log(folder / "log.jsonl", "pretrain")
        log.cut_after(0)
        log.write(step=1)
main(work)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("mask", "wanted"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_honour_the_umask(tmp_path: Path, mask: int, wanted: int) -> None:
    before = os.umask(mask)
    try:
        write_json(tmp_path / "a" / "b.json", {})
    finally:
        os.umask(before)
    assert mode(tmp_path / "a" / "b.json") == wanted
    assert mode(tmp_path / "a") == 0o777 & ~mask


def test_folders_below_a_shared_one_are_shared(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)
    before = os.umask(0o022)
    try:
        write_json(tmp_path / "a" / "b" / "c.json", {})
    finally:
        os.umask(before)
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o2775, 0o2775)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming two users takes root")
@pytest.mark.parametrize(("mask", "works"), [(0o022, True), (0o002, True), (0o077, False)])
def test_two_users_of_a_group_s_folder(shared: Path, mask: int, works: bool) -> None:
    base = shared
    results = base / "results"
    results.mkdir()
    os.chown(results, 60001, 60000)
    results.chmod(0o2775)
    done = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(results), "60000", str(user), str(mask)],
            capture_output=True, text=True, check=False,
        )
        for user in (60001, 60002)
    ]  # fmt: skip
    assert (done[0].returncode, done[0].stderr) == (0, "")
    if works:
        assert (done[1].returncode, done[1].stderr) == (0, "")
        assert (results / "runs" / "id" / "config.json").read_text().split() == ["[60002,", "60001]"]
        assert not (results / "runs" / "id" / "lock").exists()
    else:
        assert done[1].returncode == 2
        assert "Traceback" not in done[1].stderr
        assert "Permission denied for user 60002; " in done[1].stderr
        assert "belongs to 60001" in done[1].stderr


def test_a_full_disk_and_a_file_in_the_way_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file: there is a file where a folder is meant"):
        write_json(tmp_path / "file" / "a.json", {})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device.*make room.*a\.json") as error:
        write_json(tmp_path / "a.json", {})
    assert error.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_command_says_in_a_sentence_that_the_disk_is_full() -> None:
    code = "from simvtp.cli import main; from simvtp.runtime.files import write_bytes; from pathlib import Path\n"
    code += "import os, errno\ndef full(_): raise OSError(errno.ENOSPC, 'x')\nos.fsync = full\n"
    code += "import sys, tempfile\nmain(lambda: write_bytes(Path(tempfile.mkdtemp()) / 'a', b'x'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: [Errno 28] No space left on device, or over quota; make room")
    assert len(done.stderr.splitlines()) == 1
