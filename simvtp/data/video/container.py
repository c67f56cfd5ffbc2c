"""Opening a video file with PyAV (FFmpeg): its video stream, whether the file is whole, whether its times can be used.

Every reader opens files by this module, so all refuse the same files for the same reasons. For a file that is cut off,
the header of AVI, Matroska and WebM, or MPEG-TS says where it should end; MP4 and MOV list the place of every frame in
their index, which FFmpeg reads. MPEG-TS has no length, but its packets have one size: a file that ends within a packet
is cut off. A file that was cut between two frames shows no trace.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.stream import Disposition

from simvtp.data.video.paths import ffmpeg_url, open_bytes, split_clip
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


_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_TS_SYNC = 0x47


def declared_end(path: Path, container: str) -> int | None:
    """The byte behind the last one that the file must have; None if it does not say. `container`: FFmpeg's name.

    Raises OSError.
    """
    if container not in ("avi", "matroska,webm", "mpegts"):
        return None
    with open_bytes(path) as (file, start, size):
        if container == "avi":
            return _riff_end(file, start, size)
        if container == "mpegts":
            return _ts_end(file, start, size)
        return _matroska_end(file, start, size)


def _riff_end(file: BinaryIO, start: int, size: int) -> int | None:
    """End of the last RIFF chunk; AVI files above 1 GB have several, one after the other."""
    place, end = 0, None
    while place + 12 <= size:
        file.seek(start + place)
        head = file.read(12)
        length = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF" or length in (0, 2**32 - 1):  # other data, or a recording that was not finished
            break
        place = end = place + 8 + length
        place += length % 2
    return end


def _ts_end(file: BinaryIO, start: int, size: int) -> int | None:
    """The size rounded up to whole packets of 188, 192 or 204 bytes."""
    file.seek(start)
    head = file.read(205)
    for offset, length in ((0, 188), (4, 192), (0, 204)):
        if len(head) > offset + length and head[offset] == head[offset + length] == _TS_SYNC:
            return -(-size // length) * length
    return None


def _matroska_end(file: BinaryIO, start: int, size: int) -> int | None:
    """End of the segment; where it has no size (a live recording), of the last of its elements that has one."""
    header = _element(file, start)
    if header is None or header[0] != _EBML or header[2] is None:
        return None
    segment = _element(file, start + header[1] + header[2])
    if segment is None or segment[0] != _SEGMENT:
        return None
    place = header[1] + header[2] + segment[1]
    if segment[2] is not None:
        return place + segment[2]
    end = None
    while place < size and (child := _element(file, start + place)) is not None and child[2] is not None:
        place = end = place + child[1] + child[2]
    return end


def _element(file: BinaryIO, place: int) -> tuple[bytes, int, int | None] | None:
    """Id, bytes of the head, and size of the content (None: unknown) of the EBML element at `place`.

    None if there is no whole head. https://www.rfc-editor.org/rfc/rfc8794
    """
    file.seek(place)
    head = file.read(12)
    id_bytes = 9 - head[0].bit_length() if head and head[0] else 9
    if id_bytes > 4 or len(head) <= id_bytes or not head[id_bytes]:
        return None
    size_bytes = 9 - head[id_bytes].bit_length()
    digits = head[id_bytes : id_bytes + size_bytes]
    if len(digits) < size_bytes:
        return None
    value = int.from_bytes(digits, "big") - (1 << 7 * size_bytes)
    return head[:id_bytes], id_bytes + size_bytes, None if value == (1 << 7 * size_bytes) - 1 else value
