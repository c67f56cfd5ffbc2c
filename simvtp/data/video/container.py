"""Opening a video file with PyAV (FFmpeg): its video stream, whether the file is whole, whether its times can be used.

Every reader goes through here, so all refuse the same files for the same reasons.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from simvtp.data.video.clip_paths import split_clip
from simvtp.data.video.tar_members import ffmpeg_url
from simvtp.data.video.truncation import declared_end
from simvtp.errors import DataError, TruncatedVideo

# A playlist that is named as a video could otherwise make FFmpeg open other files or the network.
_OPTIONS = {"protocol_whitelist": "file,subfile"}
_PLAYLISTS = ("hls", "concat", "dash", "applehttp")
# Codecs whose B-frames a reader miscounts, in some containers and after a seek, though their times are in order.
_MISCOUNTED = {"decord": ("mpeg1video", "mpeg2video", "mpeg4")}
# Containers that hold no length: only decoding can show that the end of one is missing.
_WITHOUT_LENGTH = ("mpegts", "mpeg", "h264", "hevc", "matroska,webm")


def open_container(path: Path, seconds: float) -> Any:
    """The opened file, an `av.container.InputContainer`. seconds: time limit of opening it, and of each read.

    Raises DataError if it is a list of other files, av.error.FFmpegError, OSError.
    """
    file: Any = av.open(ffmpeg_url(path), options=_OPTIONS, timeout=(seconds, seconds))
    if set(file.format.name.split(",")) & set(_PLAYLISTS):
        file.close()
        raise DataError(f"{path}: a list of other files ({file.format.name}), no video")
    return file


def video_stream(file: Any, path: Path) -> Any:
    """The first video stream that is no cover picture, set to decode in one thread; raises DataError."""
    streams = [stream for stream in file.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise DataError(f"{path}: no video stream")
    stream = streams[0]
    if stream.codec_context is None:
        raise DataError(f"{path}: FFmpeg has no decoder for its video stream")
    stream.codec_context.thread_count = 1
    return stream


def refuse_truncated(file: Any, stream: Any, path: Path) -> None:
    """Raises TruncatedVideo if the file ends before the place that its index or its container names.

    What is left could be read, and would be a video that ends before its caption does.
    """
    end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    end = max(end, declared_end(path, file.format.name) or 0)
    if end > file.size > 0:
        raise TruncatedVideo(f"{path}: cut off, {file.size} of at least {end} bytes are there; copy it again")


def refuse_decoding_errors(file: Any, stream: Any) -> bool:
    """Make the decoder raise on the first error where the container holds no length; True if it holds none.

    To be called before the first packet is decoded.
    """
    without_length = file.format.name in _WITHOUT_LENGTH
    if without_length:
        stream.codec_context.options = {"err_detect": "explode"}
    return without_length


def refuse_unordered(path: Path, reader: str, seconds: float) -> None:
    """For readers that count frames by their times: raises DataError if these do not give the order of display.

    Also where `path` is a clip of a longer video. Also raises what `open_container`, `video_stream` and
    `refuse_truncated` raise.
    """
    if split_clip(path)[1]:
        raise DataError(f"{path}: {reader} reads whole videos; for clips of them use data.reader=pyav or auto")
    with open_container(path, seconds) as file:
        stream = video_stream(file, path)
        refuse_truncated(file, stream, path)
        if not stream.codec_context.has_b_frames:
            return
        if stream.codec_context.name in _MISCOUNTED.get(reader, ()):
            raise DataError(
                f"{path}: {reader} gives other frames than it is asked for of {stream.codec_context.name} with "
                "B-frames; use data.reader=pyav or auto"
            )
        packets = within(time.monotonic() + seconds, file.demux(stream), path)
        ordered = is_display_order([packet.pts for packet in _until_reordered(packets)], stream)
    if not ordered:
        raise DataError(
            f"{path}: its times do not tell the order of its frames, by which {reader} counts them; use "
            "data.reader=pyav or auto"
        )


def _until_reordered(packets: Iterable[Any]) -> Iterator[Any]:
    """The packets that hold data, up to the first whose time is before that of its predecessor."""
    last: int | None = None
    for packet in packets:
        if not packet.size:
            continue
        yield packet
        if packet.pts is not None and last is not None and packet.pts < last:
            return
        last = packet.pts


def is_display_order(times: Sequence[int | None], stream: Any) -> bool:
    """Whether the packets' presentation times, in the order of the file, give the order in which frames are shown.

    Not where times are missing or repeated. Not where they rise although the codec reorders frames (B-frames): those
    are times of decoding, as AVI stores them and a copy into another container keeps them.
    """
    known = [pts for pts in times if pts is not None]
    if len(known) < len(times) or len(set(known)) < len(known):
        return False
    rising = all(before < after for before, after in itertools.pairwise(known))
    return not (rising and len(known) > 1 and stream.codec_context.has_b_frames)


def within(until: float, packets: Iterable[Any], path: Path) -> Iterator[Any]:
    """The packets; raises DataError once the clock `time.monotonic` has passed `until`."""
    for packet in packets:
        if time.monotonic() > until:
            raise DataError(f"{path}: not read in time (data.decode_seconds)")
        yield packet


def first_line(error: Exception) -> str:
    """What went wrong, in one line of at most 200 characters; FFmpeg's errors without the URL that it was given."""
    text = error.strerror if isinstance(error, av.error.FFmpegError | OSError) else None
    return ((text or str(error)).strip().splitlines() or [type(error).__name__])[0][:200]
