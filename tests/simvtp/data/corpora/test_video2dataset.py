"""Tar files as video2dataset writes them, made here by tarfile."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from simvtp.data.corpora import video2dataset
from simvtp.data.corpora.registry import load
from simvtp.data.sampler import EpochSampler
from simvtp.data.video.video import Video
from simvtp.errors import DataError
from tests.simvtp.data.corpora.trees import ids, shown
from tests.simvtp.films import film


def shard(path: Path, *members: tuple[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two shards: caption as text, in the JSON, in both; a failed download; a caption that is empty."""
    films = [film(tmp_path / f"{number}.mp4", number).read_bytes() for number in range(4)]
    root = tmp_path / "set"
    about = json.dumps({"caption": "from json", "status": "success"}).encode()
    shard(root / "00000.tar", ("000000000.mp4", films[0]), ("000000000.txt", b"from text"), ("000000000.json", about),
          ("000000001.json", about), ("000000001.mp4", films[1]))  # fmt: skip
    shard(root / "00001.tar", ("000010000.json", b'{"caption": "x", "status": "failed_to_download"}'),
          ("000010001.mp4", films[2]), ("000010001.txt", b" "), ("000010002.mp4", films[3]),
          ("000010002.txt", "größer".encode()))  # fmt: skip
    (root / "00000.parquet").write_bytes(b"beside each tar file")
    return root


def test_videos_are_read_where_they_lie(tree: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    spec = f"shards:{tree}"
    assert shown(spec, "pretrain") == {
        "00000/000000000": ("from text",), "00000/000000001": ("from json",), "00001/000010002": ("größer",),
    }  # fmt: skip
    assert "1 of 5 keys have no video" in caplog.text
    assert "1 empty captions are left out" in caplog.text
    for sample, number in zip(load(spec, "train").samples, (0, 1, 3), strict=True):
        assert np.array_equal(Video(sample.path).frames(range(10)), Video(tmp_path / f"{number}.mp4").frames(range(10)))
    sampler = EpochSampler(load(spec, "train").samples, 0, "shards", 2, lambda *_: 0)
    assert sampler.windows == 1
    assert sorted(sampler.epoch(0).windows[0].shards) == [tree / "00000.tar", tree / "00001.tar"]
    with pytest.raises(DataError, match="no tar files of split 'val'"):
        load(spec, "val")


def test_a_tar_file_is_listed_once(tree: Path, monkeypatch: pytest.MonkeyPatch):
    before = shown(f"shards:{tree}", "train")
    monkeypatch.setattr(video2dataset, "each", lambda *_, **__: pytest.fail("listed again"))
    assert shown(f"shards:{tree}", "train") == before
    monkeypatch.undo()
    (tree / "00001.tar").write_bytes((tree / "00000.tar").read_bytes())
    assert list(shown(f"shards:{tree}", "train"))[2:] == ["00001/000000000", "00001/000000001"]


def test_folders_are_splits(tree: Path):
    (tree / "train").mkdir()
    (tree / "valid").mkdir()
    (tree / "00000.tar").rename(tree / "train" / "00000.tar")
    (tree / "00001.tar").rename(tree / "valid" / "00001.tar")
    assert ids(f"shards:{tree}", "train") == ["00000/000000000", "00000/000000001"]
    assert ids(f"shards:{tree}", "val") == ["00001/000010002"]


@pytest.mark.parametrize(
    ("member", "message"),
    [(("1.txt", b"\xff"), "no UTF-8"), (("1.json", b"{"), "a caption is no UTF-8 text or no JSON")],
)
def test_damaged_captions_are_named(tmp_path: Path, member: tuple[str, bytes], message: str):
    shard(tmp_path / "00000.tar", member)
    with pytest.raises(DataError, match=rf"00000\.tar: .*{message}"):
        load(f"shards:{tmp_path}", "train")


def test_a_cut_off_tar_file_is_named(tree: Path):
    content = (tree / "00001.tar").read_bytes()
    (tree / "00001.tar").write_bytes(content[: 512 * 4 + 100])
    with pytest.raises(DataError, match=r"00001\.tar cannot be read as a tar file"):
        load(f"shards:{tree}", "train")
