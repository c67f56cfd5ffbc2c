"""The odd files of ../shared/data/edge, frame by frame against the `ffmpeg` program."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.data.odd_videos import by_ffmpeg, compared

REFUSED = {"audio_only_no_video_stream.mp4", "bitflips_in_mdat.mp4", "decord_corrupted.mp4", "not_a_video.mp4",
           "truncated_moov_front.mp4", "truncated_no_moov.mp4", "zero_bytes.mp4"}  # fmt: skip


@pytest.mark.slow
def test_frames_of_every_file_are_those_of_ffmpeg(shared: Path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("the ffmpeg program is not installed (apt-get install ffmpeg)")
    files = sorted((shared / "edge").iterdir())
    assert len(files) == 58
    actual = {path.name: compared(path, "auto", by_ffmpeg(path)) for path in files}
    wanted = {path.name: "refused" if path.name in REFUSED else "right" for path in files}
    assert {name: said for name, said in actual.items() if not said.startswith(wanted[name])} == {}
