"""Frames of every container against the `ffmpeg` program; files that are cut off, undecodable, or oddly named."""

from __future__ import annotations

import http.server
import itertools
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from simvtp.data.video.frames import Frames
from simvtp.data.video.probe import VideoInfo, probe
from simvtp.data.video.reencode import Encoding, reencode
from simvtp.data.video.video import READERS, Video
from simvtp.errors import DataError, TruncatedVideo
from tests.simvtp.films import film

WIDTH, HEIGHT = 160, 120


@pytest.fixture(scope="module")
def program() -> str:
    actual = shutil.which("ffmpeg")
    if actual is None:
        pytest.skip("the ffmpeg program is not installed (apt-get install ffmpeg)")
    return actual


def ffmpeg(program: str, *arguments: str) -> bytes:
    return subprocess.run([program, "-v", "error", "-y", *arguments], check=True, capture_output=True).stdout


def made(program: str, path: Path, *codec: str) -> Path:
    """Two seconds of moving shapes, 50 frames."""
    ffmpeg(program, "-f", "lavfi", "-i", f"testsrc2=d=2:s={WIDTH}x{HEIGHT}", *codec, f"file:{path}")
    return path


def by_ffmpeg(program: str, path: Path) -> Frames:
    """uint8 [T, H, W, 3]: every frame as the program writes it."""
    output = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = ffmpeg(program, "-i", f"file:{path}", "-map", "0:v:0", *output)
    return np.frombuffer(pixels, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)


def assert_same(actual: Frames, right: Frames, indices: list[int]) -> None:
    apart = np.abs(actual.astype(int) - right[indices].astype(int)).mean(axis=(1, 2, 3))
    assert apart.max() < 4, apart  # neighbours differ by more than 8


X264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "20")


@pytest.mark.parametrize("ending", ["avi", "mp4", "mkv", "ts", "mov", "copy.mp4", "copy.mkv", "copy.ts", "copy.mov"])
def test_b_frames_come_in_the_order_of_ffmpeg(program: str, tmp_path: Path, ending: str):
    """An AVI has no times of display; `-c copy` takes what libavformat guesses into other containers."""
    path = made(program, tmp_path / f"v.{ending.removeprefix('copy.')}", *X264)
    if ending.startswith("copy."):
        avi = made(program, tmp_path / "v.avi", *X264)
        ffmpeg(program, "-fflags", "+genpts", "-i", str(avi), "-c", "copy", str(path))
    right = by_ffmpeg(program, path)
    assert np.abs(np.diff(right.astype(int), axis=0)).mean(axis=(1, 2, 3)).min() > 4
    video = Video(path)
    assert (video.reader, video.frame_count) == ("pyav", 50)
    assert_same(video.frames(range(50)), right, list(range(50)))
    for index in (0, 2, 19, 20, 33, 49):
        assert_same(Video(path).frames([index]), right, [index])


@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        ("webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime")),
        ("avi", ("-c:v", "mpeg4", "-bf", "2")),
        ("mpg", ("-c:v", "mpeg2video", "-bf", "2")),
        ("avi", ("-c:v", "libx264", "-bf", "0")),
        ("flv", X264),
    ],
)
def test_other_containers_and_codecs(program: str, tmp_path: Path, ending: str, codec: tuple[str, ...]):
    path = made(program, tmp_path / f"v.{ending}", *codec)
    right = by_ffmpeg(program, path)
    video = Video(path)
    assert video.frame_count == len(right)
    assert_same(video.frames(range(len(right))), right, list(range(len(right))))
    assert_same(Video(path).frames([17, 31]), right, [17, 31])


def test_readers_that_count_by_time_refuse_times_of_decoding(program: str, tmp_path: Path):
    path = made(program, tmp_path / "v.avi", *X264)
    with pytest.raises(DataError, match=r"v\.avi.*decord.*data\.reader=pyav"):
        Video(path, "decord")
    assert Video(made(program, tmp_path / "v.mp4", *X264), "decord").frame_count == 50


@pytest.mark.parametrize(("ending", "codec"), [("mkv", "mpeg4"), ("ts", "mpeg2video"), ("ts", "mpeg4")])
def test_decord_gives_no_b_frames_that_it_miscounts(program: str, tmp_path: Path, ending: str, codec: str):
    path = made(program, tmp_path / f"v.{ending}", "-c:v", codec, "-bf", "2")
    with pytest.raises(DataError, match=rf"v\.{ending}.*{codec} with B-frames; use data\.reader=pyav"):
        Video(path, "decord")
    assert Video(path).frame_count == len(by_ffmpeg(program, path))
    plain = made(program, tmp_path / "plain.mp4", "-c:v", "mpeg4", "-bf", "0")
    assert Video(plain, "decord").frame_count == 50


def test_a_copy_has_the_order_of_its_source(program: str, tmp_path: Path):
    source = made(program, tmp_path / "v.avi", *X264)
    copy = tmp_path / "out" / "v.mp4"
    assert isinstance(reencode(Encoding(120, quality=10), (source, copy)), tuple)
    right = by_ffmpeg(program, source)
    video = Video(copy)
    assert (video.frame_count, video.frames_per_second) == (50, 25)
    assert_same(video.frames(range(50)), right, list(range(50)))


@pytest.mark.parametrize("name", ["v.mp4", "v.mov", "v.avi", "v.mkv", "v.webm", "v.ts", "v.flv", "live.mkv", "v.mpg"])
@pytest.mark.parametrize("share", [0.3, 0.77])
def test_a_cut_off_video_fails_the_deep_check_and_has_no_copy(program: str, tmp_path: Path, name: str, share: float):
    codec = {
        "v.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime"),
        "v.mpg": ("-c:v", "mpeg2video"),
        "live.mkv": (*X264, "-live", "1"),
    }.get(name, X264)
    whole = made(program, tmp_path / f"whole-{name}", *codec)
    assert isinstance(probe(True, whole), VideoInfo)
    content = whole.read_bytes()
    cut = tmp_path / name
    cut.write_bytes(content[: int(len(content) * share) // 188 * 188 + 100])
    error = probe(True, cut)
    assert isinstance(error, str)
    assert str(cut) in error
    copy = tmp_path / "out" / "v.mp4"
    assert isinstance(reencode(Encoding(), (cut, copy)), str)
    assert list(copy.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["v.mkv", "v.webm", "v.ts", "v.avi"])
def test_a_cut_off_video_is_refused_when_it_is_opened(program: str, tmp_path: Path, name: str):
    codec = ("-c:v", "libvpx-vp9", "-deadline", "realtime") if name == "v.webm" else X264
    path = made(program, tmp_path / name, *codec)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-700])
    end = -(-(size - 700) // 188) * 188 if name == "v.ts" else size
    with pytest.raises(TruncatedVideo, match=rf"{name}: cut off, {size - 700} of at least {end} "):
        Video(path)


def test_a_transport_stream_cut_between_two_of_its_packets(program: str, tmp_path: Path):
    path = made(program, tmp_path / "v.ts", *X264)
    content = path.read_bytes()
    packets = [content[place : place + 188] for place in range(0, len(content), 188)]
    starts = [i for i, packet in enumerate(packets) if packet[1] & 0x40 and packet[1] & 0x1F == 1 and packet[2] == 0]
    first, second = max(itertools.pairwise(starts), key=lambda pair: pair[1] - pair[0])  # the longest frame
    path.write_bytes(b"".join(packets[: (first + second) // 2]))
    assert "damaged or cut off" in str(probe(True, path))


def test_a_codec_that_ffmpeg_does_not_know(tmp_path: Path):
    path = film(tmp_path / "v.mp4", 0)
    content = path.read_bytes()
    assert content.count(b"avc1") > 1
    head, tag, tail = content.rpartition(b"avc1")
    path.write_bytes(head + b"XXXX" + tail)
    assert tag
    with pytest.raises(DataError, match=r"v\.mp4: cannot be read \(pyav: FFmpeg has no decoder"):
        Video(path)
    assert isinstance(reencode(Encoding(), (path, tmp_path / "copy.mp4")), str)


@pytest.mark.parametrize(
    "content",
    [
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nwhole.mp4\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile whole.mp4\n",
    ],
    ids=["svg", "playlist", "concat list"],
)
def test_files_that_are_no_videos(tmp_path: Path, content: str):
    film(tmp_path / "whole.mp4", 0)
    (tmp_path / "a.mp4").write_text(content)
    for reader in ("auto", "pyav", "decord"):
        with pytest.raises(DataError, match=r"a\.mp4"):
            Video(tmp_path / "a.mp4", reader)


def test_sound_with_a_cover_picture_is_no_video(program: str, tmp_path: Path):
    ffmpeg(program, "-f", "lavfi", "-i", "testsrc2=s=64x64", "-frames:v", "1", str(tmp_path / "cover.png"))
    sound = ["-f", "lavfi", "-i", "sine=d=1", "-i", str(tmp_path / "cover.png"), "-map", "0", "-map", "1"]
    ffmpeg(program, *sound, "-c:v", "copy", "-disposition:v", "attached_pic", str(tmp_path / "a.mp4"))
    with pytest.raises(DataError, match="no video stream"):
        Video(tmp_path / "a.mp4")


NAMES = ["12:30 lecture.mp4", "concat:v.mp4", "file:v.mp4", "pipe:0", "subfile,,start,0,end,9,,:v.mp4", "%03d.mp4",
         "-i.mp4", "data:v.mp4", "name\nwith a break.mp4"]  # fmt: skip


@pytest.mark.parametrize("reader", [reader for reader in READERS if reader != "torchcodec"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_never_taken_for_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reader: str):
    monkeypatch.chdir(tmp_path)
    right = Video(film(tmp_path / "plain.mp4", 3), reader).frames([0, 9])
    Path("plain.mp4").rename(name)
    assert (Video(Path(name), reader).frames([0, 9]) == right).all()
    if reader == "auto":
        assert isinstance(reencode(Encoding(16), (Path(name), Path("out.mp4"))), tuple)


def test_a_folder_named_http_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    requests: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

    monkeypatch.chdir(tmp_path)
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = Path("http:") / f"127.0.0.1:{server.server_port}" / "x.mp4"
        path.parent.mkdir(parents=True)
        film(path.absolute(), 3)
        for reader in ("auto", "decord"):
            assert Video(path, reader).frame_count == 10
        server.shutdown()
    assert requests == []
