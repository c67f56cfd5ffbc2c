"""Video files by PyAV (FFmpeg): only the frames that are asked for are converted, at the size that is asked for.

Opening lists the packets (no decoding), and keeps them where they are few. Frame i is the i-th in order of presentation
time, as `ffmpeg -i` prints them. Reading begins at the key frame before a wanted one (in the kept packets, or by a
seek), and decodes of what lies between only what later frames refer to. Where a file has no usable times, or this does
not give what it should, the video is decoded from its start.
"""

from __future__ import annotations

import bisect
import itertools
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from simvtp.data.video.frames import Frames, Scaler, target
from simvtp.data.video.tar_members import opened_as
from simvtp.errors import CutOff, DataError

KEPT_BYTES = 2**26  # packets of a longer video are not kept between opening and reading, but read again


class PyAV:
    """A video by path; the file is closed when this is dropped. Raises DataError, av.error.FFmpegError, OSError."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self._scaler = Scaler()
        self._until = time.monotonic() + seconds
        self._file = self._open()
        weakref.finalize(self, self._file.close)  # or it waits for the garbage collector: PyAV's objects are a cycle
        self._stream = _video(self._file, path)
        self._codec = self._stream.codec_context
        self._codec.thread_count = 1
        self.frames_per_second = float(self._stream.average_rate or 0)
        self._rotation: int | None = None
        self._kept: list[Any] | None = []
        # frame i of presentation; key frames, with their places; both empty: only decoding tells the order
        self._order, self._keys = list[int](), dict[int, int]()
        self._refuse_cut()
        self._list()
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

    def _refuse_cut(self) -> None:
        """Where the file's own index says that frames lie behind its end; of formats without one, nothing is known.

        What is there could be read, and would be a video that ends before its caption does.
        """
        end = max((entry.pos + entry.size for entry in self._stream.index_entries), default=0)
        if end > self._file.size > 0:
            raise CutOff(f"{self.path}: cut off, {self._file.size} of at least {end} bytes are there; copy it again")

    def _list(self) -> None:
        """Times of all frames that are shown, and the packets themselves where there is room."""
        times, size = list[Any](), 0
        packets = self._in_time(self._file.demux(self._stream))
        for place, packet in enumerate(packet for packet in packets if packet.size):
            size += packet.size
            if self._kept is not None:
                self._kept.append(packet)
                if size > KEPT_BYTES:
                    self._kept = None
            if not packet.is_discard:
                times.append(packet.pts)
                if packet.is_keyframe:
                    self._keys[packet.pts] = place
        if None in times or len(set(times)) < len(times):
            self._keys.clear()
        else:
            self._order = sorted(times)
            self._keys = {pts: self._keys[pts] for pts in sorted(self._keys)}

    def _in_time(self, packets: Iterable[Any]) -> Iterator[Any]:
        """The packets; raises DataError when the time limit is over."""
        for packet in packets:
            if time.monotonic() > self._until:
                raise DataError(f"{self.path}: not read within {self.seconds:g} s")
            yield packet

    def _counted(self) -> int:
        with self._open() as file:
            return sum(1 for _ in self._decoded(file, _video(file, self.path)))

    def _decoded(self, file: Any, stream: Any) -> Iterator[Any]:
        for packet in self._in_time(file.demux(stream)):
            yield from packet.decode()

    def _sought(self, indices: Sequence[int], short_side: int | None) -> dict[int, Frames]:
        """Frames by index, as far as beginning at key frames gives them."""
        found: dict[int, Frames] = {}
        keys = list(self._keys)
        groups: dict[int, dict[int, int]] = {}  # key frame -> presentation time -> index
        for index in indices:
            pts = self._order[index]
            place = bisect.bisect_right(keys, pts) - 1
            if place < 0:
                return {}
            groups.setdefault(keys[place], {})[pts] = index
        for key, wanted in groups.items():
            for frame in self._needed(self._from_key(key), set(wanted)):
                if frame.pts in wanted:
                    found[wanted.pop(frame.pts)] = self._picture(frame, short_side)
                if not wanted:
                    break
        return found

    def _from_key(self, key: int) -> Iterable[Any]:
        """Packets from a key frame on."""
        if self._kept is None:
            self._file.seek(key, stream=self._stream, backward=True)
            return self._file.demux(self._stream)
        return itertools.islice(self._kept, self._keys[key], None)

    def _needed(self, packets: Iterable[Any], wanted: set[int]) -> Iterator[Any]:
        """Decoded frames, without those that are neither wanted nor referred to.

        After the last packet of a wanted frame the decoder is made to give what it still holds: it would hold frames
        back until it has decoded those that might be shown before them.
        """
        self._codec.flush_buffers()
        skipped: str | None = None
        for packet in self._in_time(packets):
            if not packet.size:  # the end of the file
                break
            skip = "DEFAULT" if packet.pts in wanted else "NONREF"
            if skip != skipped:
                self._codec.skip_frame = skipped = skip
            yield from self._codec.decode(packet)
            wanted.discard(packet.pts)
            if not wanted:
                break
        self._codec.skip_frame = "DEFAULT"
        yield from self._codec.decode(None)

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
        """uint8 [H, W, 3], upright."""
        if self._rotation is None:
            self._rotation = frame.rotation
        pixels = self._scaler.rgb(frame, *target(frame.height, frame.width, short_side))
        return np.rot90(pixels, self._rotation // 90)


def _video(file: Any, path: Path) -> Any:
    if not file.streams.video:
        raise DataError(f"{path}: no video stream")
    return file.streams.video[0]
