from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from simvtp.config.presets import preset
from simvtp.data.corpora.registry import load
from simvtp.data.frame_cache import open_frames
from simvtp.data.sprites.rendering import encode
from simvtp.data.train_loader import ClipReader
from simvtp.data.video.video import read
from simvtp.errors import DataError


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIMVTP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frames"


def videos(folder: Path, count: int, frames: int = 8, side: int = 32) -> list[Path]:
    random, paths = np.random.default_rng(0), []
    for i in range(count):
        path = folder / f"v{i}.mp4"
        path.write_bytes(encode(random.integers(0, 255, (frames, side, side, 3), dtype=np.uint8)))
        paths.append(path)
    return paths


def test_cached_frames_are_the_decoded_ones(tmp_path: Path, own_cache: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    paths = videos(tmp_path, 20)
    frames = open_frames(paths, "noise")
    assert frames.shape == (20, 8, 32, 32, 3)
    assert not frames.flags.writeable
    for row, path in zip(frames, paths, strict=True):
        assert np.array_equal(row, read(path, range(8)))
    assert "decoding noise" in caplog.text
    caplog.clear()
    open_frames(paths, "noise")
    assert caplog.text == ""
    assert {path.suffix for path in own_cache.iterdir()} == {".npy", ".json"}


def test_a_changed_video_is_noticed(tmp_path: Path, own_cache: Path):
    paths = videos(tmp_path, 3)
    before = np.array(open_frames(paths, "noise"))
    paths[1].write_bytes(paths[2].read_bytes())
    os.utime(paths[1], ns=(1, 1))
    after = open_frames(paths, "noise")
    assert np.array_equal(after[1], before[2])
    assert np.array_equal(after[0], before[0])
    assert len(list(own_cache.glob("*.npy"))) == 1  # replaced, not added


def test_a_damaged_cache_is_made_again(tmp_path: Path, own_cache: Path):
    paths = videos(tmp_path, 3)
    before = np.array(open_frames(paths, "noise"))
    (file,) = own_cache.glob("*.npy")
    file.write_bytes(file.read_bytes()[:1000])
    assert np.array_equal(open_frames(paths, "noise"), before)


def test_videos_of_several_lengths_or_sizes_are_refused(tmp_path: Path, own_cache: Path):
    paths = videos(tmp_path, 3)
    paths[2].write_bytes(encode(np.zeros((9, 32, 32, 3), np.uint8)))
    with pytest.raises(DataError, match=r"v2\.mp4: 9 frames where the others have 8.*machine\.frame_cache=false"):
        open_frames(paths, "noise")
    paths[2].write_bytes(encode(np.zeros((8, 64, 32, 3), np.uint8)))
    with pytest.raises(DataError, match=r"v2\.mp4: 32 x 64 pixels where the others have 32 x 32"):
        open_frames(paths, "noise")
    paths[2].write_text("no video")
    with pytest.raises(DataError, match=r"v2\.mp4"):
        open_frames(paths, "noise")
    assert list(own_cache.iterdir()) == []


def test_fractions_share_one_cache(corpus_name: str, own_cache: Path):
    from simvtp.data.train_loader import ClipReader

    whole = load(corpus_name, "pretrain")
    half = whole.fraction(0.5, 0)
    clips = ClipReader(half, cache=True)
    ClipReader(whole, cache=True)
    assert len(list(own_cache.glob("*.npy"))) == 1
    for index, sample in enumerate(half.samples):
        assert np.array_equal(clips.read(index, range, 48), read(sample.path, range(8)))


def test_only_the_embedded_corpus_is_cached(corpus_name: str, tmp_path: Path, own_cache: Path):
    """Videos of other corpora differ in length and size, and tiny, which caches, reads them all the same."""
    assert ClipReader(load(corpus_name, "val"), cache=True).cached is not None
    for number, frames, side in ((0, 8, 32), (1, 11, 48)):
        (tmp_path / str(number)).mkdir()
        videos(tmp_path / str(number), 1, frames, side)
    (tmp_path / "list.csv").write_text("video,caption\n0/v0.mp4,x\n1/v0.mp4,y\n")
    reader = ClipReader(load(f"csv:{tmp_path}/list.csv", "train"), cache=preset("tiny").machine.frame_cache)
    assert reader.cached is None
    assert reader.read(1, lambda count: [0, count - 1], 64).shape == (2, 48, 48, 3)
    assert len(list(own_cache.glob("*.npy"))) == 1


def test_the_frames_of_a_run_are_pages_of_the_file_that_all_runs_share(corpus_name: str, own_cache: Path):
    """A shared mapping (`s` in /proc/self/maps): the kernel keeps each page once, whatever the number of processes."""
    reader = ClipReader(load(corpus_name, "pretrain"), cache=True)
    assert reader.cached is not None
    first = reader.cached.__array_interface__["data"][0]
    last = first + reader.cached.nbytes - 1
    (file,) = own_cache.glob("*.npy")
    maps = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
    (found,) = [line for line in maps if line[-1] == str(file)]
    low, high = (int(address, 16) for address in found[0].split("-"))
    assert found[1] == "r--s"
    assert low <= first <= last < high
