"""Video files by PyAV (FFmpeg): only the frames that are asked for are converted, at the size that is asked for.

Opening lists the packets (no decoding). Frame i is the i-th in order of presentation time, as `ffmpeg -i` prints them.
Reading seeks to the key frame before a wanted one, and decodes of what lies between only what later frames refer to.
Where a file has no usable times, or a seek does not give what it should, the video is decoded from its start.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from simvtp.data.errors import DataError
from simvtp.data.frames import Frames, target
from simvtp.data.members import opened_as


class PyAV:
    """A video by path; nothing is kept open between calls. Raises DataError, av.error.FFmpegError, OSError."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self._until = time.monotonic() + seconds
        with self._open() as file:
            stream = _video(file, path)
            self.frames_per_second = float(stream.average_rate or 0)
            self._rotation: int | None = None
            packets = [(packet.pts, packet.is_keyframe) for packet in self._demuxed(file, stream)]
            times = [pts for pts, _ in packets]
            # frame i of presentation, and key frames; empty: only decoding tells the order
            self._order: list[int] = sorted(times) if None not in times and len(set(times)) == len(times) else []
            self._keys = sorted(pts for pts, key in packets if key) if self._order else []
        self.frame_count = len(self._order) or self._counted()

    def read(self, indices: Sequence[int], short_side: int | None) -> Frames:
        self._until = time.monotonic() + self.seconds
        found = self._sought(indices, short_side) if self._keys else {}
        if len(found) < len(indices):
            found = self._from_start(indices, short_side)
        if len(found) < len(indices):
            raise DataError(f"{self.path}: ends before frame {max(set(indices).difference(found))}")
        return np.stack([found[index] for index in indices])

    def _open(self) -> Any:
        # the first limit is on opening, the second on each read: a network disk that does not answer
        return av.open(opened_as(self.path), timeout=(self.seconds, self.seconds))

    def _demuxed(self, file: Any, stream: Any) -> Iterator[Any]:
        """Packets that hold a frame to be shown, within the time limit."""
        for packet in file.demux(stream):
            if time.monotonic() > self._until:
                raise DataError(f"{self.path}: not read within {self.seconds:g} s")
            if packet.size and not packet.is_discard:
                yield packet

    def _counted(self) -> int:
        with self._open() as file:
            return sum(1 for _ in self._decoded(file, _video(file, self.path)))

    def _decoded(self, file: Any, stream: Any) -> Iterator[Any]:
        for packet in file.demux(stream):
            if time.monotonic() > self._until:
                raise DataError(f"{self.path}: not read within {self.seconds:g} s")
            yield from packet.decode()

    def _sought(self, indices: Sequence[int], short_side: int | None) -> dict[int, Frames]:
        """Frames by index, as far as seeking gives them."""
        found: dict[int, Frames] = {}
        groups: dict[int, dict[int, int]] = {}  # key frame -> presentation time -> index
        for index in indices:
            pts = self._order[index]
            place = bisect.bisect_right(self._keys, pts) - 1
            if place < 0:
                return {}
            groups.setdefault(self._keys[place], {})[pts] = index
        with self._open() as file:
            stream = _video(file, self.path)
            stream.codec_context.thread_count = 1
            for key, wanted in groups.items():
                file.seek(key, stream=stream, backward=True)
                for frame in self._needed(file, stream, wanted):
                    if frame.pts in wanted:
                        found[wanted.pop(frame.pts)] = self._picture(frame, short_side)
                    if not wanted:
                        break
        return found

    def _needed(self, file: Any, stream: Any, wanted: dict[int, int]) -> Iterator[Any]:
        """Decoded frames from here on, without those that are neither wanted nor referred to."""
        last = max(wanted)
        for packet in file.demux(stream):
            if time.monotonic() > self._until:
                raise DataError(f"{self.path}: not read within {self.seconds:g} s")
            stream.codec_context.skip_frame = "DEFAULT" if packet.pts in wanted or not packet.size else "NONREF"
            yield from packet.decode()
            if packet.is_keyframe and packet.pts is not None and packet.pts > last + self._window(last):
                return  # a whole group further on: it will not come any more

    def _window(self, last: int) -> int:
        """The time from `last` to the second key frame after it: frames may come that late, no later."""
        place = bisect.bisect_right(self._keys, last) + 1
        return self._keys[place] - last if place < len(self._keys) else self._order[-1] - last

    def _from_start(self, indices: Sequence[int], short_side: int | None) -> dict[int, Frames]:
        wanted, found = set(indices), {}
        with self._open() as file:
            for number, frame in enumerate(self._decoded(file, _video(file, self.path))):
                if number in wanted:
                    found[number] = self._picture(frame, short_side)
                    if len(found) == len(wanted):
                        break
        return found

    def _picture(self, frame: Any, short_side: int | None) -> Frames:
        height, width = target(frame.height, frame.width, short_side)
        if (height, width) == (frame.height, frame.width):
            pixels = frame.to_ndarray(format="rgb24")
        else:
            pixels = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
        if self._rotation is None:
            self._rotation = frame.rotation
        return np.rot90(pixels, self._rotation // 90)


def _video(file: Any, path: Path) -> Any:
    if not file.streams.video:
        raise DataError(f"{path}: no video stream")
    return file.streams.video[0]
