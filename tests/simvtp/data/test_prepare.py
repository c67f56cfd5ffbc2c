"""A prepared corpus holds the same videos, smaller; what was killed goes on; what is broken is listed."""

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from simvtp.data.corpora.registry import load
from simvtp.data.pack import pack
from simvtp.data.prepare import prepare, report
from simvtp.data.video.reencode import Encoding
from simvtp.data.video.video import Video
from simvtp.errors import DataError
from simvtp.runtime.locks import Busy, Lock
from simvtp.runtime.worker_pool import each

FORM = Encoding(short_side=32, keys=5)


def film(path: Path, frames: int = 24, *, height: int = 64, width: int = 96) -> Path:
    """Frame i is grey of value 8 * i; the upper quarter is white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=Fraction(24), options={"qp": "4"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            pixels = np.full((height, width, 3), 8 * number % 256, np.uint8)
            pixels[: height // 4] = 255
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")))
        file.mux(stream.encode())
    return path


@pytest.fixture
def webvid(tmp_path: Path) -> Path:
    root = tmp_path / "webvid"
    lines = ["videoid,page_dir,name"]
    for number in range(6):
        film(root / "videos" / f"p{number % 2}" / f"{number}.mp4")
        lines.append(f'{number},p{number % 2},"caption, {number}"')
    (root / "videos" / "p1" / "5.mp4").write_text("<html>")
    (root / "results_2M_train.csv").write_text("\n".join(lines))
    return root


def test_the_same_corpus_smaller(webvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = prepare(f"webvid:{webvid}", out, FORM, 60)
    assert (len(done.copies), done.fresh) == (5, 5)
    assert [file for file, _ in done.bad] == ["p1/5.mp4"]
    before, after = (load(f"webvid:{root}", "train") for root in (webvid, out))
    assert [s.captions for s in after.samples] == [s.captions for s in before.samples[:5]]
    for sample in after.samples:
        video = Video(sample.path)
        assert video.frame_count == 24
        assert video.frames_per_second == 24
        frames = video.frames([0, 11, 23]).astype(float)
        assert frames.shape == (3, 32, 48, 3)
        assert np.abs(frames[:, 20:].mean(axis=(1, 2, 3)) - [0, 88, 184]).max() < 4
        with av.open(str(sample.path)) as file:
            keys = [packet.is_keyframe for packet in file.demux(video=0) if packet.size]
        assert np.diff(np.flatnonzero(keys)).max() <= 5
    assert not list(out.rglob(".*"))
    assert report(done).row_count == 3


@pytest.mark.slow
def test_it_goes_on_after_a_kill(webvid: Path, tmp_path: Path) -> None:
    for number in range(6):
        film(webvid / "videos" / f"p{number % 2}" / f"{number}.mp4", 200, height=240, width=320)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "simvtp.data.prepare", f"webvid:{webvid}", "--out", str(out), "--short-side", "64"]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 60
    while not list(out.rglob("[0-9].mp4")) and time.monotonic() < until:
        time.sleep(0.005)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("[0-9].mp4")}
    assert 1 <= len(kept) < 6
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f"{6 - len(kept)} videos re-encoded now, {len(kept)} before" in again.stderr
    assert not list(out.rglob(".*"))  # what the kill cut off is gone
    assert all(path.stat().st_mtime_ns == changed for path, changed in kept.items())
    assert all(Video(sample.path).frame_count == 200 for sample in load(f"webvid:{out}", "train").samples)
    other = subprocess.run([*command, "--fps", "3"], capture_output=True, text=True, check=False)
    assert (other.returncode, "begun with another fps" in other.stderr) == (2, True)


def test_what_was_refused_is_tried_again_only_when_it_changed_or_on_demand(
    webvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, bad, tried = tmp_path / "out", webvid / "videos" / "p1" / "5.mp4", []

    def guarded(function: Any, form: Encoding, jobs: list[tuple[Path, Path]], **how: Any) -> Any:
        tried.append([source.name for source, _ in jobs])
        return each(function, form, jobs, **how)

    monkeypatch.setattr("simvtp.data.prepare.each", guarded)
    first = prepare(f"webvid:{webvid}", out, FORM, 60)
    again = prepare(f"webvid:{webvid}", out, FORM, 60)
    assert (first.known, again.known, again.fresh, again.bad) == (0, 1, 0, first.bad)
    with (out / "refused.jsonl").open("a") as file:
        file.write('["half of a line')  # as a kill leaves it
    assert prepare(f"webvid:{webvid}", out, FORM, 60).known == 1
    prepare(f"webvid:{webvid}", out, FORM, 60, retry=True)
    bad.write_text("<html> another page")
    changed = prepare(f"webvid:{webvid}", out, FORM, 60)
    film(bad)
    mended = prepare(f"webvid:{webvid}", out, FORM, 60)
    assert (changed.known, len(changed.bad), mended.fresh, mended.bad) == (0, 1, 1, [])
    assert [len(jobs) for jobs in tried] == [6, 0, 0, 1, 1, 1]


def test_fewer_frames_a_second(tmp_path: Path) -> None:
    film(tmp_path / "in" / "a.mp4", 24)
    (tmp_path / "in" / "list.csv").write_text("video,caption\na.mp4,a\n")
    prepare(f"csv:{tmp_path}/in/list.csv", tmp_path / "out", Encoding(64, fps=6), 60)
    video = Video(load(f"csv:{tmp_path}/out/list.csv", "train").samples[0].path)
    assert video.frame_count == 6
    shades = video.frames(range(6)).astype(float)[:, 40:].mean(axis=(1, 2, 3))
    assert np.abs(shades - 8 * np.array([0, 4, 8, 12, 16, 20])).max() < 4


def test_turned_videos_stand_upright(shared_rotated: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(shared_rotated.read_bytes())
    (tmp_path / "in" / "list.csv").write_text("video,caption\na.mp4,a\n")
    prepare(f"csv:{tmp_path}/in/list.csv", tmp_path / "out", FORM, 60)
    before, after = (Video(tmp_path / place / "a.mp4").frames([3], 32).astype(float) for place in ("in", "out"))
    assert (before.shape[1:3], after.shape[1:3]) == ((43, 32), (42, 32))  # an even number of rows
    apart = np.abs(before[:, :42] - after).mean()  # coarse pixels of a lossy copy
    assert apart < 20 < np.abs(before[:, :42][:, ::-1] - after).mean()


@pytest.fixture
def shared_rotated(shared: Path) -> Path:
    return shared / "edge" / "rotated_90_tag.mp4"


def test_a_corpus_is_not_written_into_itself(webvid: Path) -> None:
    with pytest.raises(DataError, match="lies in the corpus itself"):
        prepare(f"webvid:{webvid}", webvid / "small", FORM, 60)
    with pytest.raises(DataError, match="sprites:tiny is embedded"):
        prepare("sprites:tiny", webvid.parent / "out", FORM, 60)
    with Lock(webvid.parent / "out" / "lock"), pytest.raises(Busy, match="in use by"):
        prepare(f"webvid:{webvid}", webvid.parent / "out", FORM, 60)


def test_clips_of_a_long_video_are_prepared_as_one_file_and_not_packed(tmp_path: Path) -> None:
    film(tmp_path / "list" / "v.mp4", 30)
    (tmp_path / "list" / "t.csv").write_text("video,s,e,caption\nv.mp4,0.25,0.5,x\nv.mp4,0.5,1,y\n")
    done = prepare(f"csv:{tmp_path}/list/t.csv?start=s&end=e", tmp_path / "out", FORM, 60)
    assert [copy for _, copy in done.copies] == [tmp_path / "out" / "v.mp4"]
    for sample, numbers in zip(load(f"csv:{tmp_path}/out/t.csv?start=s&end=e", "train").samples, ((6, 12), (12, 24)),
                               strict=True):  # fmt: skip
        frames = Video(sample.path).frames(range(numbers[1] - numbers[0]))
        shades = frames[:, 16:].astype(float).mean(axis=(1, 2, 3))
        assert np.abs(shades - 8 * np.arange(*numbers)).max() < 8
    with pytest.raises(DataError, match=r"lists clips of longer videos, such as .*v\.mp4/0\.250-0\.500s"):
        pack(f"csv:{tmp_path}/list/t.csv?start=s&end=e", tmp_path / "shards", 1)


def test_annotations_of_others_are_left_alone(webvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "results_2M_train.csv").write_text("mine")
    with pytest.raises(DataError, match=r"results_2M_train\.csv is there, and was not made by this command"):
        prepare(f"webvid:{webvid}", out, FORM, 60)
    assert (out / "results_2M_train.csv").read_text() == "mine"
