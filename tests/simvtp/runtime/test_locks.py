"""One owner at a time: for processes that see each other, and for those that do not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simvtp.errors import ConfigError
from simvtp.runtime import files, liveness
from simvtp.runtime.locks import Busy, Lock, LockLost, holder
from tests.simvtp.runtime.lock_process import asked, heard, start

HARD_LINK_FAILS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
int link(const char *from, const char *to) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "link");
    if (getenv("LINK_REPLY_LOST")) { real(from, to); errno = EEXIST; return -1; }
    errno = EPERM; return -1;
}
static int beats;
int futimens(int file, const void *times) {
    int (*real)(int, const void *) = dlsym(RTLD_NEXT, "futimens");
    if (beats++ % 2 == 0) { errno = ESTALE; return -1; }
    return real(file, times);
}
"""
NAMESPACES = [
    pytest.param(["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"], id="pid namespace"),
    pytest.param(["unshare", "--user", "--map-root-user", "--uts", "sh", "-c", 'hostname other; exec "$@"', "sh"],
                 id="host name"),
]  # fmt: skip


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(liveness, "STALE_SECONDS", 3.0)


def unseen(path: Path, **changes: object) -> None:
    """A lock whose owner cannot be seen from here."""
    path.write_text(json.dumps({"host": "far", "pid": 1, "started": 1, "job": "77", "token": "t", **changes}))


def test_a_second_taker_is_told_at_once_who_holds_it(tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    process = start(started, tmp_path / "lock", HEARTBEAT="60")
    assert heard(process) == "held"
    with pytest.raises(Busy, match=f"in use by process {process.pid} on "), Lock(tmp_path / "lock"):
        pass


def test_the_lock_of_a_killed_process_is_taken_at_once(tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    process = start(started, tmp_path / "lock")
    assert heard(process) == "held"
    process.kill()
    process.wait()
    assert (tmp_path / "lock").exists()
    assert holder(tmp_path / "lock") is None
    began = time.monotonic()
    with Lock(tmp_path / "lock") as lock:
        assert holder(tmp_path / "lock") == lock.owner
    assert time.monotonic() - began < 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", NAMESPACES)
def test_an_owner_in_another_namespace_is_busy_and_taken_over_when_it_died(
    tmp_path: Path, started: list[subprocess.Popen[str]], before: list[str]
) -> None:
    if shutil.which("unshare") is None or subprocess.run([*before, "true"], check=False).returncode:
        pytest.skip("this machine makes no namespaces for this user")
    inside = start(started, tmp_path / "lock", before)
    assert heard(inside) == "held"
    assert heard(start(started, tmp_path / "lock")).startswith("busy: ")
    assert asked(inside) == "own"
    inside.communicate()
    outside = start(started, tmp_path / "lock")
    assert heard(outside) == "held"
    assert heard(start(started, tmp_path / "lock", before)).startswith("busy: ")
    outside.kill()  # dead, which the inside can only learn from its heart
    outside.wait()
    assert heard(start(started, tmp_path / "lock", before)) == "held"


@pytest.mark.usefixtures("short")
def test_clocks_are_not_compared(tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    """An owner of another machine whose clock is hours off, whatever way, lives as long as its file is touched."""
    for hours in (-5, 5):
        path = tmp_path / f"lock{hours}"
        unseen(path)
        code = (
            "import os, sys, time\nfor beat in range(600):\n"
            f" now = time.time() + 3600 * {hours}\n os.utime(sys.argv[1], (now, now))\n time.sleep(0.2)"
        )
        started.append(subprocess.Popen([sys.executable, "-c", code, str(path)], text=True))
        began = time.monotonic()
        with pytest.raises(Busy, match=r"process 1 on far \(job 77\)"), Lock(path):
            pass
        assert time.monotonic() - began < 2.5  # as soon as the heart was seen to beat
        for _ in range(4):
            time.sleep(1)
            assert holder(path) is not None
        started[-1].kill()
        began = time.monotonic()
        while holder(path) is not None:
            time.sleep(0.1)
        assert 1.5 < time.monotonic() - began < 10
        with Lock(path):
            pass


@pytest.mark.usefixtures("short")
def test_an_unseen_owner_counts_until_its_heart_was_watched_and_stood_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen(tmp_path / "lock")
    os.utime(tmp_path / "lock", (1, 1))  # however old it looks
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert str(holder(tmp_path / "lock")) == "process 1 on far (job 77)"
    now += 1000  # this process was suspended, or the disk was: that counts for two heartbeats
    assert holder(tmp_path / "lock") is not None
    for _ in range(8):
        now += 0.4
        owner = holder(tmp_path / "lock")
    assert owner is None


@pytest.mark.usefixtures("short")
def test_a_hidden_process_is_not_taken_for_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under hidepid, /proc has no entry of another user's process; a signal to it says that it is there."""
    unseen(tmp_path / "lock", pid=os.getppid(), sees=liveness.visibility())
    assert liveness.visibility()
    monkeypatch.setattr(liveness, "process_state", lambda _: open("/proc/nobody"))  # noqa: SIM115, PTH123
    assert holder(tmp_path / "lock") is not None
    monkeypatch.undo()
    assert holder(tmp_path / "lock") is None  # seen: another process has this number now


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": "x"}'])
def test_a_lock_that_was_emptied_is_its_owner_s_still(
    tmp_path: Path, started: list[subprocess.Popen[str]], content: str
) -> None:
    owner = start(started, tmp_path / "lock")
    assert heard(owner) == "held"
    whole = (tmp_path / "lock").read_text()
    (tmp_path / "lock").write_text(content)
    assert heard(start(started, tmp_path / "lock")).startswith("busy: ")
    assert asked(owner) == "own"
    assert (tmp_path / "lock").read_text()[: len(whole)] == whole
    (tmp_path / "lock").write_text(content)
    owner.kill()
    owner.wait()
    assert heard(start(started, tmp_path / "lock")) == "held"


@pytest.fixture
def preload(tmp_path: Path) -> str:
    """A library that makes hard links and heartbeats fail."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed, and makes the library that lets system calls fail")
    (tmp_path / "shim.c").write_text(HARD_LINK_FAILS)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", tmp_path / "shim.so", tmp_path / "shim.c", "-ldl"], check=True)
    return str(tmp_path / "shim.so")


@pytest.mark.parametrize("lost", [{}, {"LINK_REPLY_LOST": "1"}], ids=["no hard links", "lost reply of link"])
def test_disks_without_hard_links_and_with_lost_replies(
    tmp_path: Path, started: list[subprocess.Popen[str]], preload: str, lost: dict[str, str]
) -> None:
    path, odd = tmp_path / "below" / "lock", {"LD_PRELOAD": preload, **lost}
    owner = start(started, path, **odd)
    assert heard(owner) == "held"
    assert heard(start(started, path, **odd)).startswith("busy: ")
    time.sleep(1)  # every second heartbeat fails
    assert heard(start(started, path)).startswith("busy: ")
    assert asked(owner) == "own"
    owner.kill()
    owner.wait()
    second = start(started, path, **odd)
    assert heard(second) == "held"
    second.communicate()
    assert list(path.parent.iterdir()) == []


def test_a_heartbeat_that_fails_once_goes_on(
    tmp_path: Path, started: list[subprocess.Popen[str]], preload: str
) -> None:
    owner = start(started, tmp_path / "lock", LD_PRELOAD=preload)
    assert heard(owner) == "held"
    beats = set()
    for _ in range(10):
        beats.add((tmp_path / "lock").stat().st_mtime_ns)
        time.sleep(0.2)
    assert 3 <= len(beats) <= 7


@pytest.mark.usefixtures("short")
def test_a_suspended_owner_that_was_replaced_writes_no_more(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    owner = start(started, tmp_path / "lock")
    assert heard(owner) == "held"
    owner.send_signal(signal.SIGSTOP)
    entry = json.loads((tmp_path / "lock").read_text())
    (tmp_path / "lock").write_text(json.dumps({**entry, "sees": "another machine"}))
    with Lock(tmp_path / "lock") as lock:
        owner.send_signal(signal.SIGCONT)
        assert asked(owner).startswith(f"lost: {tmp_path} was taken over by process {os.getpid()} ")
        lock.verify()
        assert holder(tmp_path / "lock") == lock.owner


def test_files_below_a_lock_are_written_by_its_owner_only(tmp_path: Path) -> None:
    with Lock(tmp_path / "run" / "lock") as lock:
        files.write_json(tmp_path / "run" / "deep" / "a.json", 1)
        unseen(lock.path)
        with pytest.raises(LockLost, match=r"taken over by process 1 on far \(job 77\)"):
            files.write_json(tmp_path / "run" / "deep" / "a.json", 2)
        files.write_json(tmp_path / "beside.json", 3)
        lock.path.unlink()
        with pytest.raises(LockLost, match="lock was removed"):
            files.write_json(tmp_path / "run" / "a.json", 2)
    assert files.read_json(tmp_path / "run" / "deep" / "a.json") == 1
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.json", "beside.json"]
    files.write_json(tmp_path / "run" / "a.json", 2)


def test_of_twenty_takers_one_wins_round_after_round(tmp_path: Path) -> None:
    """Each winner dies with its lock, by kill -9, and the rest take it from the dead again."""
    code = (
        "import os, sys, time; from pathlib import Path; from simvtp.runtime.locks import Busy, Lock\n"
        "while not Path(sys.argv[3]).exists(): time.sleep(0.001)\n"
        "while True:\n"
        " try:\n"
        "  with Lock(Path(sys.argv[1])):\n"
        "   log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND)\n"
        "   os.write(log, b'in\\n'); time.sleep(0.02); os.write(log, b'out\\n')\n"
        "   os.kill(os.getpid(), 9) if sys.argv[4] == '1' else os._exit(0)\n"
        " except Busy: time.sleep(0.002)"
    )
    log, go = tmp_path / "log", tmp_path / "go"
    log.touch()
    many = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock"), str(log), str(go), str(number % 2)])
        for number in range(20)
    ]
    go.touch()
    for process in many:
        process.wait(120)
    assert log.read_text().split() == ["in", "out"] * 20


@pytest.mark.parametrize("odd", ["folder", "broken link"])
def test_what_is_no_file_is_named_and_left_alone(odd: str, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.mkdir() if odd == "folder" else path.symlink_to(tmp_path / "nothing")
    for look in (lambda: holder(path), lambda: Lock(path).__enter__()):
        with pytest.raises(ConfigError, match=rf"{path}: a folder or broken link"):
            look()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["[" * 100_000, '{"pid": 1.5}', '{"pid": "1"}', "null", '"x"'])
def test_content_of_another_kind_names_no_owner(content: str, tmp_path: Path) -> None:
    own = {"host": "h", "pid": 1, "started": 1, "job": "", "token": "a", "sees": liveness.visibility()}
    text = json.dumps(own | json.loads(content)) if content.startswith("{") else content
    (tmp_path / "lock").write_text(text)
    entry = liveness.read_lock(tmp_path / "lock")
    assert entry is not None
    assert entry.owner is None
