"""Memory that one worker of `check --deep` takes for a video of 3840 x 2160 pixels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

PEAK = """
print(next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
BY_PYAV = """
import sys
from pathlib import Path
from simvtp.data.video.probe import probe
found = probe(True, Path(sys.argv[1]))
assert (found.frames, found.width, found.height) == (70, 3840, 2160), found
"""
BY_DECORD = """
import sys
from pathlib import Path
from simvtp.data.video.decord_reader import answer
found = answer(None, (Path(sys.argv[1]), (list(range(64)), 64)))
assert found.shape == (64, 64, 114, 3), found
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(("code", "most"), [(BY_PYAV, 500), (BY_DECORD, 1300)], ids=["pyav", "decord"])
def test_a_4k_video_is_decoded_in_bounded_memory(tmp_path: Path, code: str, most: int) -> None:
    """64 frames of that size would be 1.5 GiB, and are read at once, small."""
    if code == BY_DECORD:
        pytest.importorskip("decord")
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "70"})
        stream.width, stream.height, stream.pix_fmt = 3840, 2160, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.full((3240, 3840), 128, np.uint8), format="yuv420p")
        for number in range(70):
            picture.pts = number
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    command = [sys.executable, "-c", code + PEAK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < most
