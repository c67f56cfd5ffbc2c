"""Reading clips from files: clips a second beside plain decord. `python benchmarks/data/decode.py [VIDEO ...]`.

Plain: decord.VideoReader(path, num_threads=1).get_batch(indices), then PIL's bilinear resize of every frame to a short
side of 224. Ours: Video(path).frames(indices, 224), that is the same frames at the same size. 16 frames of a clip,
spread over the video (fine-tuning and test of tiny and small) or 4 apart (base, and pre-training). Both take turns
within one run; two processes decode each on its own. Without VIDEO it makes two of 10 s (moving texture with grain,
H.264 as x264 makes it by default).
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import decord
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import report
from benchmarks.data.clips import make
from simvtp.data.video.frames import Frames
from simvtp.data.video.sampling import dense_indices, spread_indices
from simvtp.data.video.video import Video

SIZE, FRAMES, STRIDE = 224, 16, 4
SECONDS, ROUNDS = 2.0, 5

Way = Callable[[Path, Sequence[int]], Frames]


def plain(path: Path, indices: Sequence[int]) -> Frames:
    decoded = decord.VideoReader(str(path), num_threads=1).get_batch(list(indices)).asnumpy()
    height, width = decoded.shape[1:3]
    scale = SIZE / min(height, width)
    size = (round(width * scale), round(height * scale))
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR)) for frame in decoded])


def ours(path: Path, indices: Sequence[int]) -> Frames:
    return Video(path).frames(indices, SIZE)


def _clips(way: Way, path: Path, indices: Sequence[Sequence[int]], seconds: float) -> float:
    """Clips a second of one process."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        way(path, indices[count % len(indices)])
        count += 1
    return count / (time.perf_counter() - began)


def _rate(way: Way, path: Path, indices: Sequence[Sequence[int]], processes: int) -> float:
    """Clips a second of several processes together."""
    if processes == 1:
        return _clips(way, path, indices, SECONDS)
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return sum(pool.starmap(_clips, [(way, path, indices, SECONDS)] * processes))


def rows(path: Path, name: str) -> list[dict[str, str]]:
    count = Video(path).frame_count
    starts = np.random.default_rng(0).random(8)
    ways = {
        "spread": [spread_indices(count, FRAMES, start) for start in starts],
        f"{STRIDE} apart": [dense_indices(count, FRAMES, STRIDE, start) for start in starts],
    }
    table = []
    for frames, indices in ways.items():
        apart = np.abs(plain(path, indices[0]).astype(int) - ours(path, indices[0])).mean()
        assert apart < 8, f"{name}, {frames}: the two ways differ by {apart:.1f} of 255"  # two resizes of one frame
        for processes in (1, 2):
            turns = [
                (_rate(plain, path, indices, processes), _rate(ours, path, indices, processes)) for _ in range(ROUNDS)
            ]
            theirs, mine = (float(np.median(column)) for column in zip(*turns, strict=True))
            ratio = float(np.median([b / a for a, b in turns]))
            row = {"preset": "base", "video": name, "frames": frames, "processes": str(processes)}
            table.append(row | {"plain, clips/s": f"{theirs:.1f}", "ours, clips/s": f"{mine:.1f}",
                                "ratio": f"{ratio:.1f}x"})  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, nargs="*", metavar="VIDEO")
    given = parser.parse_args()
    report.print_environment()
    with tempfile.TemporaryDirectory() as folder:
        made = [(make(Path(folder) / f"{w}x{h}.mp4", w, h), f"{w}x{h}") for w, h in ((320, 240), (1280, 720))]
        videos = [(path, path.name) for path in given.videos] or made
        print(report.markdown([row for path, name in videos for row in rows(path, name)]))


if __name__ == "__main__":
    main()
