"""Full disks, wrong clocks and hidden processes as machines have them: real mounts, user ids and a shifted clock."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simvtp.runtime.files import write_bytes, write_json
from simvtp.runtime.locks import Lock
from tests.simvtp.runtime.lock_process import asked, heard, start

SHIFTED_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *found) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(clock, found);
    if (clock == CLOCK_REALTIME) found->tv_sec += atoi(getenv("SHIFT"));
    return code;
}
int futimens(int file, const struct timespec *times) {
    int (*real)(int, const struct timespec *) = dlsym(RTLD_NEXT, "futimens");
    struct timespec now[2];
    clock_gettime(CLOCK_REALTIME, now);
    now[1] = now[0];
    return real(file, times ? times : now);
}
"""
HIDDEN = (
    "import os; from tests.simvtp.runtime import lock_process; "  # imported first: Python may lie in root's folder_of
    "os.setgroups([]); os.setgid(60002); os.setuid(60002); lock_process.main()"
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("mounting a small disk takes root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_disk_that_is_full_keeps_what_was_there_and_is_gone_on_with_when_there_is_room(small_disk: Path) -> None:
    path = small_disk / "runs" / "id" / "state.pt"
    write_bytes(path, b"1" * 300_000)
    with pytest.raises(OSError, match=r"No space left on device.*make room.*state\.pt") as error:
        write_bytes(path, b"2" * 900_000)
    assert error.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"1" * 300_000
    assert [entry.name for entry in path.parent.iterdir()] == ["state.pt"]

    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(2**20))
    with pytest.raises(OSError, match=r"No space left on device.*make room"), Lock(path.parent / "lock"):
        pass
    assert [entry.name for entry in path.parent.iterdir()] == ["state.pt"]
    ballast.unlink()
    with Lock(path.parent / "lock"):
        write_json(path.with_name("result.json"), {})
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["result.json", "state.pt"]


@pytest.mark.parametrize("shift", ["120", "-7200"])
def test_no_clocks_are_compared(
    tmp_path: Path,
    started: list[subprocess.Popen[str]],
    shift: str,
) -> None:
    """An owner that cannot be seen, on a host whose clock is wrong: busy while it lives, taken over when it died."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed, and makes the library that shifts the clock")
    (tmp_path / "shim.c").write_text(SHIFTED_CLOCK)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "shim.so", tmp_path / "shim.c", "-ldl"], check=True)
    path, wrong = tmp_path / "lock", {"LD_PRELOAD": str(tmp_path / "shim.so"), "SHIFT": shift}
    owner = start(started, path, **wrong)
    assert heard(owner) == "held"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sees": "another machine"}))
    assert heard(start(started, path)).startswith("busy: ")
    assert abs(path.stat().st_mtime - time.time() - int(shift)) < 60  # the clock is shifted indeed
    assert asked(owner) == "own"
    owner.kill()
    owner.wait()
    assert heard(start(started, path)) == "held"


def test_an_owner_that_hidepid_hides_is_not_taken_for_dead(started: list[subprocess.Popen[str]]) -> None:
    """Another user on a machine whose /proc is mounted with hidepid=2."""
    mount = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    before = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    if os.geteuid() or subprocess.run([*before, "true"], check=False, capture_output=True).returncode:
        pytest.skip("mounting another /proc takes root")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        owner = start(started, folder / "lock")
        assert heard(owner) == "held"
        look = [*before, "setpriv", "--reuid=60002", "--regid=60002", "--clear-groups", "ls", f"/proc/{owner.pid}"]
        assert subprocess.run(look, check=False, capture_output=True).returncode != 0  # it is hidden indeed

        def hidden() -> subprocess.Popen[str]:
            return start(started, folder / "lock", before, (sys.executable, "-c", HIDDEN))

        assert heard(hidden()).startswith("busy: ")
        assert asked(owner) == "own"
        owner.kill()
        owner.wait()
        assert heard(hidden()) == "held"
