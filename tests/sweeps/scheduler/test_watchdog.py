import logging
from collections import namedtuple
from pathlib import Path

import pytest

from sweeps.scheduler.watchdog import DiskWatch

Usage = namedtuple("Usage", "total used free")


def test_a_full_disk_is_said_once_and_its_end_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    free = 10 * 2**20
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(0, 0, free))
    watch = DiskWatch(tmp_path)
    for _ in range(3):
        watch.poll()
    free = 2**40
    for _ in range(3):
        watch.poll()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "10 MiB" in caplog.text
