"""Where a video file ends by its own account, for containers whose header says so: AVI, Matroska and WebM, MPEG-TS.

MP4 and MOV name every frame's place in their index, which FFmpeg reads. MPEG-TS has no length, but its packets have
one size: a file that ends within a packet is cut off. One that was cut between two frames shows no trace.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from simvtp.data.video.tar_members import open_bytes

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
