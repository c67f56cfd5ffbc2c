"""One video made small and seekable. Runs in the workers of `prepare`, and imports little."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from simvtp.data.video.frames import Scaler, target

FINE = Fraction(1, 90_000)  # the time base of the copy: fine enough for every rate


@dataclass(frozen=True)
class Form:
    """What copies look like. short_side: pixels, never enlarged; fps: at most so many frames a second, 0: all;
    keys: frames from one key frame to the next, so that a seek decodes no more than these; quality: x264's CRF."""

    short_side: int = 256
    fps: float = 0.0
    keys: int = 16
    quality: int = 23


def reencode(form: Form, job: tuple[Path, Path]) -> tuple[int, int] | str:
    """Bytes of the source and of its copy, which appears whole or not at all; or why there is none."""
    source, copy = job
    temporary = copy.with_name(f".{copy.name}.part")  # the name that a copy cut off by a kill has: this one replaces it
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not _copied(form, source, temporary):
            return "no frame can be decoded"
        temporary.replace(copy)
        return source.stat().st_size, copy.stat().st_size
    except (av.error.FFmpegError, ValueError, OSError, RuntimeError) as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    finally:
        temporary.unlink(missing_ok=True)


def _copied(form: Form, source: Path, temporary: Path) -> int:
    """Frames written."""
    count, next_time, scaler = 0, 0.0, Scaler()
    stream: Any = None
    options = {"crf": str(form.quality), "preset": "veryfast", "g": str(form.keys), "bf": "2"}
    with (
        av.open(str(source)) as given,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as made,
    ):
        if not given.streams.video:
            raise ValueError("no video stream")
        from_stream = given.streams.video[0]
        rate = from_stream.average_rate or Fraction(25)
        last = -1
        for number, frame in enumerate(given.decode(from_stream)):
            seconds = float(frame.pts * frame.time_base) if frame.pts is not None else number / float(rate)
            if form.fps and count and seconds < next_time - 1e-6:
                continue
            next_time = max(seconds, next_time) + (1 / form.fps if form.fps else 0)
            upright = _upright(frame, form, scaler)
            if stream is None:
                stream = made.add_stream("libx264", rate=rate, options=options)
                stream.width, stream.height, stream.pix_fmt = upright.width, upright.height, "yuv420p"
                stream.codec_context.time_base = FINE
                stream.codec_context.thread_count = 1
            last = max(last + 1, round(seconds / FINE))
            upright.pts, upright.time_base = last, FINE
            for packet in stream.encode(upright):
                made.mux(packet)
            count += 1
        if stream is not None:
            for packet in stream.encode():
                made.mux(packet)
    return count


def _upright(frame: Any, form: Form, scaler: Scaler) -> Any:
    """At its size, with even sides as H.264 needs them, turned as it is shown."""
    height, width = (side // 2 * 2 or 2 for side in target(frame.height, frame.width, form.short_side))
    if not frame.rotation:
        return scaler.scaled(frame, height, width, "yuv420p")
    turned = np.ascontiguousarray(np.rot90(scaler.rgb(frame, height, width), frame.rotation // 90))
    return av.VideoFrame.from_ndarray(turned, format="rgb24").reformat(format="yuv420p", threads=1)
