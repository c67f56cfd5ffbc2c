from __future__ import annotations

import gc
import importlib.util
import os
import signal
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from simvtp.data.sprites.rendering import encode
from simvtp.data.transforms import crop_and_resize, views
from simvtp.data.video import decord_reader, pyav_reader, video
from simvtp.data.video.frames import Frames
from simvtp.data.video.pyav_reader import PyAVReader
from simvtp.data.video.sampling import segment_indices
from simvtp.data.video.video import Video, frame_count, read
from simvtp.errors import DataError


def numbered(path: Path, frames: int, height: int = 64, width: int = 64) -> Path:
    """A video whose frame i is grey with value 8 * i."""
    shades = np.arange(frames, dtype=np.uint8) * 8
    path.write_bytes(encode(np.tile(shades[:, None, None, None], (1, height, width, 3))))
    return path


@pytest.fixture(params=["pyav", "pyav by seeks", "decord"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each reader alone: `read` and `Video` use it as if it were the automatic choice."""
    if request.param == "decord":
        pytest.importorskip("decord")
    if request.param == "pyav by seeks":  # as it reads videos that are too large to keep
        monkeypatch.setattr(pyav_reader, "KEPT_BYTES", 0)
    reader = request.param.split()[0]
    monkeypatch.setitem(video.READERS, "auto", video.READERS[reader])
    return reader


@pytest.mark.parametrize("width", [32, 40, 48, 56, 64, 100])
def test_the_frames_that_are_asked_for_in_that_order(tmp_path: Path, decoder: str, width: int):
    path = numbered(tmp_path / "v.mp4", 20, 48, width)
    assert frame_count(path) == 20
    actual = read(path, [19, 3, 3, 0, 11])
    assert actual.shape == (5, 48, width, 3)
    assert actual.dtype == np.uint8
    shades = actual.astype(float).mean(axis=(1, 2, 3))
    assert np.abs(shades - np.array([152, 24, 24, 0, 88])).max() < 2.5, decoder
    assert Video(path).frames_per_second == 8


def test_colours_and_places_survive_at_a_narrow_width(tmp_path: Path, decoder: str):
    picture = np.zeros((8, 48, 48, 3), np.uint8)
    picture[:, 8:24, 24:40] = (220, 40, 60)  # rows 8-23, columns 24-39
    (tmp_path / "v.mp4").write_bytes(encode(picture))
    actual = read(tmp_path / "v.mp4", range(8)).astype(int)
    assert np.abs(actual - picture).max(initial=0) < 40, decoder
    assert np.abs(actual[:, 10:22, 26:38] - (220, 40, 60)).mean() < 5


def test_broken_files_are_named(tmp_path: Path, decoder: str):
    (tmp_path / "page.mp4").write_text("<html>not found</html>")
    (tmp_path / "empty.mp4").touch()
    whole = numbered(tmp_path / "whole.mp4", 20).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    for name in ("page", "empty", "cut", "absent"):
        with pytest.raises(DataError, match=rf"{name}\.mp4"):
            read(tmp_path / f"{name}.mp4", [0, 5, 19])
    with pytest.raises(DataError, match=r"whole\.mp4: frames \[20\] of 20 do not exist"):
        read(tmp_path / "whole.mp4", [20])
    assert decoder


def test_odd_videos_are_read_or_refused_by_name(shared: Path, decoder: str):
    """58 odd files: frames of one size, or a DataError that names the file; never another exception."""
    refused = set()
    for path in sorted((shared / "edge").iterdir()):
        try:
            opened = Video(path)
            frames = opened.frames(segment_indices(min(opened.frame_count, 60), 3, 0, 1))
        except DataError as error:
            assert path.name in str(error)  # noqa: PT017
            refused.add(path.name)
        else:
            assert frames.shape[0] == 3
            assert frames.shape[3] == 3
    certain = {"not_a_video.mp4", "zero_bytes.mp4", "truncated_no_moov.mp4", "audio_only_no_video_stream.mp4"}
    assert certain <= refused
    assert not refused & {"base_h264_faststart.mp4", "vp9.webm", "hevc.mp4", "single_frame.mp4", "tiny_16x12.mp4"}
    assert decoder


def odd(path: Path, frames: int, *, times: list[int], options: dict[str, str]) -> Path:
    """A video whose frame i, shown at times[i] / 600 s, is grey of value 6 * i, its first rows white."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30, options={"qp": "4", **options})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 600)
        for number in range(frames):
            pixels = np.full((64, 96, 3), 6 * number, np.uint8)
            pixels[:16] = 255
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = times[number], Fraction(1, 600)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


EVEN = [20 * n for n in range(40)]
ODD = {
    "b frames": (EVEN, {"bf": "3", "g": "12"}),
    "open gop": (EVEN, {"bf": "3", "g": "10", "x264-params": "open-gop=1:keyint=10:b-adapt=0"}),
    "long gop": (EVEN, {"bf": "2", "g": "400"}),
    "variable rate": ([20 * n + (n % 3) * 7 + 40 * (n // 7) for n in range(40)], {"bf": "2", "g": "9"}),
    "non-zero start": ([6000 + 20 * n for n in range(40)], {"bf": "2", "g": "16"}),
    "key frames only": (EVEN, {"g": "1"}),
}


@pytest.mark.parametrize("kind", list(ODD))
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_odd_streams_give_the_frame_of_that_number(
    tmp_path: Path, decoder: str, kind: str, ending: str, request: pytest.FixtureRequest
):
    if (decoder, kind) == ("decord", "open gop"):
        wrong = "decord 0.6 counts from the wrong frame after a seek into an open group of pictures"
        request.node.add_marker(pytest.mark.xfail(reason=wrong, strict=True))
    times, options = ODD[kind]
    path = odd(tmp_path / f"v.{ending}", 40, times=times, options=options)
    assert frame_count(path) == 40
    for indices in ([0], [39], [13], [7, 8, 9], [38, 2, 2, 21], list(range(40))):
        actual = read(path, indices).astype(float)[:, 40:].mean(axis=(1, 2, 3))
        assert np.abs(actual - 6 * np.array(indices)).max() < 2.6, (decoder, indices)


def test_frames_are_made_small_while_decoding(tmp_path: Path, decoder: str):
    path = odd(tmp_path / "v.mp4", 12, times=EVEN, options={"bf": "2"})
    small = Video(path).frames([3, 11], 32)
    assert small.shape == (2, 32, 48, 3)
    assert np.abs(small[:, 20:].astype(float).mean(axis=(1, 2, 3)) - [18, 66]).max() < 2.6
    assert (small[:, :6] > 245).all()
    assert Video(path).frames([3], 64).shape == (1, 64, 96, 3)
    assert Video(path).frames([3], 200).shape == (1, 64, 96, 3), decoder  # never enlarged


def test_the_second_reader_decides_where_the_first_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = numbered(tmp_path / "v.mp4", 20)

    class Refusing(PyAVReader):
        def read(self, indices: Sequence[int], short_side: int | None) -> Frames:  # noqa: ARG002
            raise RuntimeError("will not")

    monkeypatch.setitem(video.READERS, "auto", (("refusing", Refusing), ("pyav", PyAVReader)))
    opened = Video(path)
    assert opened.reader == "refusing"
    assert np.abs(opened.frames([5]).astype(float).mean() - 40) < 2.5
    assert opened.reader == "pyav"
    monkeypatch.setitem(video.READERS, "auto", (("refusing", Refusing), ("again", Refusing)))
    with pytest.raises(DataError, match=r"v.mp4: cannot be read \(refusing: will not; again: will not\)"):
        read(path, [5])


def test_reading_ends_when_its_time_is_over(tmp_path: Path):
    path = odd(tmp_path / "v.mp4", 40, times=EVEN, options={"g": "400"})
    assert Video(path, "pyav", 30).frame_count == 40
    with pytest.raises(DataError, match=r"v.mp4: cannot be read \(pyav: not read in time"):
        Video(path, "pyav", 1e-6)
    opened = Video(path, "pyav", 30)
    opened._reader.seconds = 1e-6  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"v\.mp4: .*not read in time"):
        opened.frames([39])


def test_a_video_that_is_dropped_is_closed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Not when the garbage collector comes by: until then each would hold its decoder, 1.7 MB here."""
    path = numbered(tmp_path / "v.mp4", 20)
    monkeypatch.setattr(pyav_reader, "KEPT_BYTES", 0)
    gc.collect()
    gc.disable()
    try:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            Video(path, "pyav").frames([3, 7])
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    finally:
        gc.enable()


def test_decord_is_killed_when_its_time_is_over(tmp_path: Path):
    """The process that reads is stopped, as one that hangs in C++ is; another one reads the next file."""
    pytest.importorskip("decord")
    path = numbered(tmp_path / "v.mp4", 20)
    opened = Video(path, "decord", 3.0)
    guard = decord_reader._workers[os.getpid(), threading.get_ident(), 3.0]
    assert guard.process is not None
    os.kill(guard.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(DataError, match="not read within 3 s"):
        opened.frames([0])
    assert 2.5 < time.monotonic() - began < 20
    assert Video(path, "decord", 3.0).frames([3]).shape == (1, 64, 64, 3)


def test_threads_do_not_get_each_others_frames(tmp_path: Path):
    """A training thread reads ahead while the main thread evaluates."""
    pytest.importorskip("decord")
    paths = [numbered(tmp_path / f"{count}.mp4", count) for count in (20, 30)]
    wrong: list[tuple[int, int]] = []

    def read(path: Path, count: int) -> None:
        actual = [Video(path, "decord").frame_count for _ in range(100)]
        wrong.extend((count, other) for other in actual if other != count)

    threads = [threading.Thread(target=read, args=pair) for pair in zip(paths, (20, 30), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_reader_that_is_not_installed_is_said(tmp_path: Path):
    if importlib.util.find_spec("torchcodec"):
        pytest.skip("torchcodec is installed")
    with pytest.raises(DataError, match=r"data.reader: torchcodec cannot be used here .*install it"):
        Video(numbered(tmp_path / "v.mp4", 3), "torchcodec")


def test_a_pipe_is_no_video(tmp_path: Path):
    os.mkfifo(tmp_path / "v.mp4")
    with pytest.raises(DataError, match="no file"):
        Video(tmp_path / "v.mp4")


def test_rotated_videos_are_upright(shared: Path, decoder: str):
    path = shared / "edge" / "torchcodec_nasa_13013_rotated.mp4"
    with av.open(str(path)) as file:
        stored = file.streams.video[0]
        assert read(path, [0]).shape[1:3] == (stored.width, stored.height), decoder


def test_crop_and_resize_is_one_box_for_all_frames():
    frames = np.zeros((3, 40, 60, 3), np.uint8)
    frames[:, 10:20, 30:40] = 200
    cut = crop_and_resize(frames, (10, 30, 10, 10), 20)
    assert cut.shape == (3, 20, 20, 3)
    assert (cut == 200).all()
    assert crop_and_resize(frames, (0, 0, 40, 40), 40).base is not None  # at its size: no copy
    assert (crop_and_resize(frames, (20, 0, 20, 60), 20) == 0).all()


def test_views_lie_along_the_long_side():
    wide = np.zeros((2, 20, 60, 3), np.uint8)
    wide[:, :, :20], wide[:, :, 20:40], wide[:, :, 40:] = 10, 20, 30
    assert [int(view.mean()) for view in views(wide, 3, 20)] == [10, 20, 30]
    assert [int(view.mean()) for view in views(wide, 1, 20)] == [20]
    tall = wide.transpose(0, 2, 1, 3)
    assert [int(view.mean()) for view in views(tall, 3, 20)] == [10, 20, 30]
    assert views(np.zeros((2, 30, 90, 3), np.uint8), 3, 10)[0].shape == (2, 10, 10, 3)
