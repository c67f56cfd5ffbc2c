"""Videos inside tar files and parts of long videos are read as if each were its own file."""

from __future__ import annotations

import math
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

from simvtp.data.corpora.registry import load
from simvtp.data.video import pyav_reader
from simvtp.data.video.frames import Frames
from simvtp.data.video.paths import clip_path, ffmpeg_url, file_on_disk, member_path, split_clip
from simvtp.data.video.probe import VideoInfo, probe
from simvtp.data.video.pyav_reader import PyAVReader
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


X264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "20")
CODECS = {
    "v.mp4": X264, "sound.mp4": (*X264, "-c:a", "aac"), "v.mkv": X264, "v.ts": X264, "v.avi": X264, "v.flv": X264,
    "v.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime"), "v.mpg": ("-c:v", "mpeg2video", "-bf", "2"),
}  # fmt: skip
SPANS = [(0.0, 1.0), (1.0, 2.0), (1.23, 3.456), (3.5, 9.0), (0.04, 0.08), (2.4, 2.5)]


def ffmpeg(*arguments: str) -> bytes:
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("the ffmpeg program is not installed (apt-get install ffmpeg)")
    return subprocess.run([program, "-v", "error", "-y", *arguments], check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of moving shapes, 100 frames, in each container."""
    folder = tmp_path_factory.mktemp("films")
    for name, codec in CODECS.items():
        sound = ["-f", "lavfi", "-i", "sine=d=4"] if name == "sound.mp4" else []
        ffmpeg("-f", "lavfi", "-i", "testsrc2=d=4:s=80x60", *sound, *codec, str(folder / name))
    return folder


def decoded(path: Path, *cut: str) -> Frames:
    output = ["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    return np.frombuffer(ffmpeg("-i", str(path), *cut, *output), np.uint8).reshape(-1, 60, 80, 3)


@pytest.mark.parametrize("kept", [2**26, 0])
@pytest.mark.parametrize("name", CODECS)
def test_clips_are_those_of_ffmpeg(films: Path, monkeypatch: pytest.MonkeyPatch, name: str, kept: int):
    """An AVI with B-frames has no times of display: its frames are evenly spaced, and counted."""
    monkeypatch.setattr(pyav_reader, "KEPT_BYTES", kept)
    whole = decoded(films / name)
    for start, end in SPANS:
        if name == "v.avi":
            right = whole[math.ceil(start * 25 - 1e-9) : math.ceil(end * 25 - 1e-9)]
        else:
            right = decoded(films / name, "-ss", str(start), "-to", str(end))
        video = Video(films / clip_path(name, (start, end)))
        assert video.frame_count == len(right), (start, end)
        apart = np.abs(video.frames(range(len(right))).astype(int) - right).mean(axis=(1, 2, 3))
        assert apart.max() < 4, (start, end)
        last = Video(films / clip_path(name, (start, end))).frames([len(right) - 1])
        assert np.abs(last.astype(int) - right[-1:]).mean() < 4


def test_only_the_packets_around_a_clip_are_read(films: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("v.mp4", "v.mkv", "v.webm"):
        monkeypatch.setattr(PyAVReader, "_index_whole", lambda _: pytest.fail("the whole video was listed"))
        assert Video(films / clip_path(name, (2.0, 3.0)), "pyav").frames([0, 24]).shape == (2, 60, 80, 3)
    reader = PyAVReader(films / clip_path("v.mp4", (2.0, 3.0)), 60)
    assert reader._packets is not None
    assert len(reader._packets) < 60


def test_clips_that_cannot_be_read(films: Path):
    with pytest.raises(DataError, match=r"v\.mp4/7\.000-8\.000s: cannot be read \(pyav: no frames"):
        Video(films / clip_path("v.mp4", (7, 8)))
    with pytest.raises(DataError, match="decord reads whole videos"):
        Video(films / clip_path("v.mp4", (1, 2)), "decord")
    with pytest.raises(DataError, match="does not exist"):
        Video(films / clip_path("none.mp4", (1, 2)))
    assert probe(True, films / clip_path("v.mkv", (1, 2))) == VideoInfo(25, 1.0, 80, 60)


def test_paths_of_clips():
    assert clip_path("a/b.mp4", (1.5, 62.0004)) == "a/b.mp4/1.500-62.000s"
    assert split_clip(Path("a/b.mp4/1.500-62.000s")) == (Path("a/b.mp4"), (1.5, 62.0))
    assert split_clip(Path("a/1.5-2.mp4")) == (Path("a/1.5-2.mp4"), None)
    member = member_path("x.tar", 512, 9, "b.mp4")
    assert file_on_disk(Path(clip_path("a/b.mp4", (1, 2)))) == Path("a/b.mp4")
    assert file_on_disk(Path(clip_path(member, (1, 2)))) == Path("x.tar")
