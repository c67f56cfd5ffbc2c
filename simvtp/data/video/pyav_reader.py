"""Reader of video files by PyAV (FFmpeg): only the requested frames are converted, at the requested size.

Opening lists the packets (no decoding), and keeps them where they are few. Frame i is the i-th in order of display, as
`ffmpeg -fps_mode passthrough` writes them. Reading begins at the key frame before a wanted one (in the kept packets,
or by a seek), and decodes of what lies between only what later frames refer to. Where the file's times do not give
the order of display, or this way does not give every frame, the video is decoded from its start.
"""

from __future__ import annotations

import bisect
import itertools
import math
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from simvtp.data.video.container import is_display_order, open_container, refuse_truncated, video_stream, within
from simvtp.data.video.frames import Frames, Scaler, target_size
from simvtp.data.video.paths import Span, split_clip
from simvtp.errors import DataError

KEPT_BYTES = 2**26  # packets of a longer video are not kept between opening and reading, but read again


class PyAVReader:
    """One video file, or a clip of one; it is closed when this is dropped.

    path: the video. seconds: time limit of opening it, and of each `read`. Raises DataError, av.error.FFmpegError,
    OSError.

    Of a part of a video (`paths.clip_path`), only the packets around it are listed, after a seek, where the file's
    times allow that; its times count from the file's first, as ffmpeg's -ss and -to do.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self._scaler, self._until = Scaler(), time.monotonic() + seconds
        self._open()
        self.frames_per_second = float(self._stream.average_rate or 0)
        self._rotation: int | None = None
        self._packets: list[Any] | None = []
        # presentation time of each frame in order of display; key frame's time -> place of its packet.
        # Both empty: only decoding tells the order.
        self._times, self._keyframes = list[int](), dict[int, int]()
        refuse_truncated(self._file, self._stream, path)
        self._span = split_clip(path)[1]
        # number in the whole video of the first frame; None: only the packets of the clip are known
        self._first: int | None = 0
        if self._span is None or not self._index_clip(self._span):
            self._index_whole()

    def _open(self) -> None:
        self._file = open_container(self.path, self.seconds)
        weakref.finalize(self, self._file.close)  # or it waits for the garbage collector: PyAV's objects are a cycle
        self._stream = video_stream(self._file, self.path)
        self._codec = self._stream.codec_context

    def read(self, indices: Sequence[int], short_side: int | None) -> Frames:
        """uint8 [T, H, W, 3], RGB, upright, of rising indices; smaller where the short side is above `short_side`.

        Raises DataError, av.error.FFmpegError, OSError.
        """
        self._until = time.monotonic() + self.seconds
        found = self._read_by_seeking(indices, short_side) if self._keyframes else {}
        if len(found) < len(indices):
            found = self._read_from_start(indices, short_side)
        if len(found) < len(indices):
            raise DataError(f"{self.path}: ends before frame {max(set(indices).difference(found))}")
        return np.stack([found[index] for index in indices])

    def _index_whole(self) -> None:
        """List all packets; where their times do not give the order of display, count the frames by decoding."""
        self._index_packets(self._file.demux(self._stream))
        count = len(self._times) or self._count_by_decoding()
        if self._span is None:
            self.frame_count = count
            return
        if self._times:
            first, end = (bisect.bisect_left(self._times, pts) for pts in self._pts_of(self._span))
        else:  # evenly spaced
            rate = self._stream.average_rate or 0
            first, end = (min(count, math.ceil(_exact(seconds) * rate)) for seconds in self._span)
        self._times, self._first, self.frame_count = self._times[first:end], first, end - first

    def _index_clip(self, span: Span) -> bool:
        """List the packets around a clip; False if the file's times or its seeking do not serve for that."""
        first, end = self._pts_of(span)
        if self._stream.start_time is not None:
            first = max(first, self._stream.start_time)
        try:
            # containers seek by times of decoding, which are earlier
            self._file.seek(first - round(1 / self._stream.time_base), stream=self._stream, backward=True)
            self._index_packets(self._until_decoded(end))
        except av.error.FFmpegError:
            self._keyframes = {}
        if not self._keyframes or min(self._keyframes) > first:
            self._open()
            return False
        low, high = (bisect.bisect_left(self._times, pts) for pts in (first, end))
        self._times, self._first, self.frame_count = self._times[low:high], None, high - low
        return True

    def _pts_of(self, span: Span) -> tuple[int, int]:
        """A clip's begin and end on the stream's clock."""
        start = Fraction(self._file.start_time or 0, av.time_base)
        first, end = (math.ceil((_exact(seconds) + start) / self._stream.time_base) for seconds in span)
        return first, end

    def _until_decoded(self, end: int) -> Iterator[Any]:
        """Packets up to the first that is decoded at `end` or later, and so shown later too."""
        for packet in self._file.demux(self._stream):
            if packet.dts is not None and packet.dts >= end:
                return
            yield packet

    def _index_packets(self, packets: Iterable[Any]) -> None:
        """Note the times of all frames that are shown, and keep the packets where there is room."""
        self._packets, self._times, self._keyframes = [], [], {}
        times, size = list[int | None](), 0
        for place, packet in enumerate(p for p in within(self._until, packets, self.path) if p.size):
            size += packet.size
            if self._packets is not None:
                self._packets.append(packet)
                if size > KEPT_BYTES:
                    self._packets = None
            if not packet.is_discard:
                times.append(packet.pts)
                if packet.is_keyframe:
                    self._keyframes[packet.pts] = place
        if is_display_order(times, self._stream):
            self._times = sorted(pts for pts in times if pts is not None)
            self._keyframes = {pts: self._keyframes[pts] for pts in sorted(self._keyframes)}
        else:
            self._keyframes.clear()

    def _count_by_decoding(self) -> int:
        with open_container(self.path, self.seconds) as file:
            return sum(1 for _ in self._decode(file))

    def _decode(self, file: Any) -> Iterator[Any]:
        """Every frame in order of display."""
        for packet in within(self._until, file.demux(video_stream(file, self.path)), self.path):
            yield from packet.decode()

    def _read_by_seeking(self, indices: Sequence[int], short_side: int | None) -> dict[int, Frames]:
        """Frames by index, decoded from the key frame before each; not all where that does not find them."""
        found: dict[int, Frames] = {}
        keyframes = list(self._keyframes)
        groups: dict[int, dict[int, int]] = {}  # key frame -> presentation time -> index
        for index in indices:
            pts = self._times[index]
            place = bisect.bisect_right(keyframes, pts) - 1
            if place < 0:
                return {}
            groups.setdefault(keyframes[place], {})[pts] = index
        for keyframe, wanted in groups.items():
            last: int | None = None
            for frame in self._decode_needed(self._packets_from(keyframe), set(wanted)):
                if frame.pts is not None and last is not None and frame.pts < last:
                    return {}  # the decoder shows frames in another order than their times say
                last = frame.pts
                if frame.pts in wanted:
                    found[wanted.pop(frame.pts)] = self._to_rgb(frame, short_side)
                if not wanted:
                    break
        return found

    def _packets_from(self, keyframe: int) -> Iterable[Any]:
        """Packets from a key frame on."""
        if self._packets is None:
            self._file.seek(keyframe, stream=self._stream, backward=True)
            return self._file.demux(self._stream)
        return itertools.islice(self._packets, self._keyframes[keyframe], None)

    def _decode_needed(self, packets: Iterable[Any], wanted: set[int]) -> Iterator[Any]:
        """Decoded frames, without those that are neither wanted nor referred to.

        After the last packet of a wanted frame the decoder is flushed: it would hold frames back until it has decoded
        those that might be shown before them.
        """
        self._codec.flush_buffers()
        skipped: str | None = None
        for packet in within(self._until, packets, self.path):
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

    def _read_from_start(self, indices: Sequence[int], short_side: int | None) -> dict[int, Frames]:
        if self._first is None:
            self._open()
            self._index_whole()
        wanted, found = set(indices), dict[int, Frames]()
        with open_container(self.path, self.seconds) as file:
            for number, frame in enumerate(self._decode(file), start=-(self._first or 0)):
                if number in wanted:
                    found[number] = self._to_rgb(frame, short_side)
                    if len(found) == len(wanted):
                        break
        return found

    def _to_rgb(self, frame: Any, short_side: int | None) -> Frames:
        """uint8 [H, W, 3], upright."""
        if self._rotation is None:
            self._rotation = frame.rotation
        pixels = self._scaler.rgb(frame, *target_size(frame.height, frame.width, short_side))
        return np.rot90(pixels, self._rotation // 90)


def _exact(seconds: float) -> Fraction:
    """A time that is given in milliseconds, without the rounding of a float."""
    return Fraction(seconds).limit_denominator(1000)
