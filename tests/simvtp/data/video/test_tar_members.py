"""A video inside a tar file is read as if it were its own file."""

import tarfile
from pathlib import Path

import pytest

from simvtp.data.corpora.registry import load
from simvtp.data.video.tar_members import ffmpeg_url, file_on_disk, member_path
from simvtp.data.video.video import Video
from simvtp.errors import DataError


def test_a_member_is_read_alone(corpus_name: str, tmp_path: Path) -> None:
    """By tarfile alone, in a folder whose name FFmpeg could take for options."""
    source = load(corpus_name, "val").samples[1].path
    shard = tmp_path / "a b,,:c" / "0.tar"
    shard.parent.mkdir()
    with tarfile.open(shard, "w") as tar:
        tar.add(load(corpus_name, "val").samples[0].path, "0.mp4")
        tar.add(source, "1.mp4")
    with tarfile.open(shard) as tar:
        actual = tar.getmember("1.mp4")
    path = shard.parent / member_path("0.tar", actual.offset_data, actual.size, "1.mp4")
    assert file_on_disk(path) == shard
    assert (Video(path).frames(range(8)) == Video(source).frames(range(8))).all()


def test_other_paths_are_opened_as_files(tmp_path: Path) -> None:
    for path in (tmp_path / "a.mp4", tmp_path / "1+2" / "a.mp4", tmp_path / "b.tar" / "a.mp4"):
        assert (file_on_disk(path), ffmpeg_url(path)) == (path, f"file:{path}")


def test_a_member_of_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0\.mp4 does not exist"):
        Video(tmp_path / member_path("0.tar", 512, 9, "0.mp4"))
