"""Every video of a folder, frame by frame against the `ffmpeg` program: `python benchmarks/data/odd_videos.py FOLDER`.

ffmpeg decodes the file from its start, turns it upright and prints its frames (-fps_mode passthrough). Each reader
gives 12 frames spread over the video, read in one call, and each once more alone. A frame is right where its mean
difference is below 6 of 255 (conversions of noisy colours differ by 3) and no neighbour of a changing video is nearer.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from simvtp.data.video.frames import Frames
from simvtp.data.video.sampling import spread_indices
from simvtp.data.video.video import READERS, Video
from simvtp.errors import DataError

FRAMES, CLOSE = 12, 6.0


def by_ffmpeg(path: Path) -> Frames | None:
    """Every frame, upright, uint8 [T, H, W, 3]; None if ffmpeg gives none."""
    show = [
        "ffprobe",
        "-v",
        "error",
        "-select_streams",
        "v:0",
        "-show_streams",
        "-of",
        "json",
        f"file:{path.absolute()}",
    ]
    streams = json.loads(subprocess.run(show, capture_output=True, check=False).stdout or b"{}").get("streams")
    if not streams:
        return None
    width, height = streams[0]["width"], streams[0]["height"]
    turned = any(abs(int(entry.get("rotation", 0))) in (90, 270) for entry in streams[0].get("side_data_list", []))
    if turned:
        width, height = height, width
    command = ["ffmpeg", "-v", "error", "-i", f"file:{path.absolute()}", "-map", "0:v:0", "-fps_mode", "passthrough",
               "-f", "rawvideo", "-pix_fmt", "rgb24", "-sws_flags", "bilinear", "-"]  # fmt: skip
    output = subprocess.run(command, capture_output=True, check=False).stdout
    size = width * height * 3
    return np.frombuffer(output[: len(output) // size * size], np.uint8).reshape(-1, height, width, 3)


def compared(path: Path, reader: str, right: Frames | None) -> str:
    """One cell of the table."""
    try:
        video = Video(path, reader)
        indices = spread_indices(video.frame_count, min(FRAMES, video.frame_count), 0.5)
        together = video.frames(indices)
        alone = np.stack([Video(path, reader).frames([index])[0] for index in indices])
    except DataError as error:
        return "refused" if len(str(error)) < 400 else "refused (long)"
    if right is None or not len(right):
        return f"{video.frame_count} frames, ffmpeg none"
    if together.shape[1:] != right.shape[1:]:
        return f"{together.shape[2]}x{together.shape[1]}, ffmpeg {right.shape[2]}x{right.shape[1]}"
    if not (together == alone).all():
        return "alone and together differ"
    wrong = sum(not _is(frame, index, right) for frame, index in zip(together, indices, strict=True))
    said = "right" if not wrong else f"{wrong} of {len(indices)} wrong"
    return said if video.frame_count == len(right) else f"{said}; {video.frame_count} frames, ffmpeg {len(right)}"


def _is(frame: Frames, index: int, right: Frames) -> bool:
    if index >= len(right):
        return False
    near = range(max(0, index - 2), min(len(right), index + 3))
    apart = {i: float(np.abs(frame.astype(int) - right[i]).mean()) for i in near}
    return apart[index] < CLOSE and apart[index] <= min(apart.values()) + 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--readers", default="auto,pyav,decord", help=f"of {', '.join(READERS)}")
    given = parser.parse_args()
    readers = given.readers.split(",")
    print("| file | frames | size | " + " | ".join(readers) + " |\n|---|---|---|" + "---|" * len(readers))
    for path in sorted(given.folder.iterdir()):
        right = by_ffmpeg(path)
        head = "- | -" if right is None or not len(right) else f"{len(right)} | {right.shape[2]}x{right.shape[1]}"
        cells = [compared(path, reader, right) for reader in readers]
        print(f"| {path.name} | {head} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
