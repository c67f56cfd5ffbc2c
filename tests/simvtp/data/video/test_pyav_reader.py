from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from simvtp.data.video import pyav_reader, video
from simvtp.data.video.pyav_reader import PyAVReader
from simvtp.errors import TruncatedVideo


def brighter(path: Path, options: dict[str, str]) -> Path:
    """A video of 40 frames; frame i is grey of value 6 i. `options`: of the mp4 file."""
    with av.open(str(path), "w", options=options) as file:
        stream = file.add_stream("libx264", rate=30, options={"qp": "4", "bf": "3", "g": "400"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(40):
            pixels = np.full((64, 96, 3), 6 * number, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")))
        file.mux(stream.encode())
    return path


@pytest.mark.parametrize("kept", [2**26, 0])
def test_nothing_is_decoded_behind_the_last_wanted_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int):
    """All packets after the one of frame 9 are destroyed, and frames 3 and 9, of value 6 i, come nevertheless."""
    monkeypatch.setattr(pyav_reader, "KEPT_BYTES", kept)
    path = brighter(tmp_path / "v.mp4", {})
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(file.streams.video[0]) if packet.size]
    order = sorted(packet.pts for packet in packets)
    place = next(i for i, packet in enumerate(packets) if packet.pts == order[9])
    content = bytearray(path.read_bytes())
    for packet in packets[place + 1 :]:
        content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    path.write_bytes(content)
    actual = PyAVReader(path, 60).read([3, 9], None).astype(float).mean(axis=(1, 2, 3))
    assert np.abs(actual - [18, 54]).max() < 2.6


@pytest.mark.parametrize("reader", ["auto", "pyav"])
def test_a_video_cut_behind_its_index_is_refused_even_where_the_frames_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
):
    monkeypatch.setitem(video.READERS, "auto", video.READERS[reader])
    whole = brighter(tmp_path / "whole.mp4", {"movflags": "faststart"})
    content = whole.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[:-5])  # the last frame is not whole
    assert len(video.read(whole, [0, 39])) == 2
    cut = rf"cut\.mp4: cut off, {len(content) - 5} of at least {len(content)} bytes"
    with pytest.raises(TruncatedVideo, match=cut):
        video.read(tmp_path / "cut.mp4", [0, 5])
