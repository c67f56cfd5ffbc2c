"""Re-encoding one video to be small and seekable. Runs in the workers of `prepare`, and imports little."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from simvtp.data.video.container import (
    first_line,
    is_display_order,
    open_container,
    refuse_decoding_errors,
    refuse_truncated,
    video_stream,
)
from simvtp.data.video.frames import SECONDS, Scaler, target_size

TIME_BASE = Fraction(1, 90_000)  # the time base of the copy: fine enough for every rate


@dataclass(frozen=True)
class Encoding:
    """How copies are encoded.

    short_side: pixels; frames are never enlarged. fps: at most so many frames a second; 0: all. keys: frames from one
    key frame to the next, the most that a seek decodes. quality: x264's CRF, 0 to 51, lower is better.
    """

    short_side: int = 256
    fps: float = 0.0
    keys: int = 16
    quality: int = 23


def reencode(encoding: Encoding, job: tuple[Path, Path]) -> tuple[int, int] | str:
    """Copy the video `job[0]` to `job[1]`, which appears whole or not at all.

    Gives the bytes of both, or why there is no copy: a video that cannot be decoded to its end has none.
    """
    source, copy = job
    temporary = copy.with_name(f".{copy.name}.part")  # a copy cut off by a kill has the same name, and is replaced
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not _write_copy(encoding, source, temporary):
            return "no frame can be decoded"
        temporary.replace(copy)
        return source.stat().st_size, copy.stat().st_size
    except (av.error.FFmpegError, ValueError, OSError, RuntimeError) as error:
        return first_line(error).removeprefix(f"{source}: ")
    finally:
        temporary.unlink(missing_ok=True)


def _write_copy(encoding: Encoding, source: Path, temporary: Path) -> int:
    """Frames written."""
    count, next_time, last, scaler = 0, 0.0, -1, Scaler()
    encoder: Any = None
    options = {"crf": str(encoding.quality), "preset": "veryfast", "g": str(encoding.keys), "bf": "2"}
    has_times = _has_times(source)
    with (
        open_container(source, SECONDS) as given,
        av.open(f"file:{temporary.absolute()}", "w", format="mp4", options={"movflags": "faststart"}) as made,
    ):
        stream = video_stream(given, source)
        refuse_truncated(given, stream, source)
        refuse_decoding_errors(given, stream)
        rate = stream.average_rate or Fraction(25)
        for number, frame in enumerate(given.decode(stream)):
            timed = has_times and frame.pts is not None
            seconds = float(frame.pts * frame.time_base) if timed else number / float(rate)
            if encoding.fps and count and seconds < next_time - 1e-6:
                continue
            next_time = max(seconds, next_time) + (1 / encoding.fps if encoding.fps else 0)
            upright = _upright(frame, encoding, scaler)
            if encoder is None:
                encoder = made.add_stream("libx264", rate=rate, options=options)
                encoder.width, encoder.height, encoder.pix_fmt = upright.width, upright.height, "yuv420p"
                encoder.codec_context.time_base = TIME_BASE
                encoder.codec_context.thread_count = 1
            last = max(last + 1, round(seconds / TIME_BASE))
            upright.pts, upright.time_base = last, TIME_BASE
            for packet in encoder.encode(upright):
                made.mux(packet)
            count += 1
        if encoder is not None:
            for packet in encoder.encode():
                made.mux(packet)
    return count


def _has_times(source: Path) -> bool:
    """Whether the file's times are those of display; else frames are evenly spaced."""
    with open_container(source, SECONDS) as file:
        stream = video_stream(file, source)
        return is_display_order([packet.pts for packet in file.demux(stream) if packet.size], stream)


def _upright(frame: Any, encoding: Encoding, scaler: Scaler) -> Any:
    """The frame at its size, with even sides as H.264 needs them, rotated as it is shown."""
    height, width = (side // 2 * 2 or 2 for side in target_size(frame.height, frame.width, encoding.short_side))
    if not frame.rotation:
        return scaler.scaled(frame, height, width, "yuv420p")
    rotated = np.ascontiguousarray(np.rot90(scaler.rgb(frame, height, width), frame.rotation // 90))
    return av.VideoFrame.from_ndarray(rotated, format="rgb24").reformat(format="yuv420p", threads=1)
