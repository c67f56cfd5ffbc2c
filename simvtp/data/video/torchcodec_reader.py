"""Video files by torchcodec, where it is installed (`pip install torchcodec`; it takes FFmpeg's shared libraries)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av

from simvtp.data.video.frames import Frames, shrunk
from simvtp.data.video.tar_members import opened_as
from simvtp.errors import DataError


class TorchCodec:
    """A video by path. Raises DataError where torchcodec is not there, RuntimeError or av.error.FFmpegError where the
    file cannot be read."""

    def __init__(self, path: Path, seconds: float) -> None:  # the limit holds until torchcodec opens the file
        try:
            from torchcodec.decoders import VideoDecoder
        except (ImportError, RuntimeError, OSError) as error:
            why = (str(error).strip().splitlines() or [""])[0]
            raise DataError(
                f"data.reader: torchcodec cannot be used here ({why}); install it with FFmpeg's libraries, or take auto"
            ) from error
        with av.open(opened_as(path), timeout=(seconds, seconds)) as file:
            if not file.streams.video:
                raise DataError(f"{path}: no video stream")
            first = file.streams.video[0].index  # as the other readers; torchcodec would take the largest
        self._decoder = VideoDecoder(
            opened_as(path), stream_index=first, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
        )
        self.frame_count = int(self._decoder.metadata.num_frames)
        self.frames_per_second = float(self._decoder.metadata.average_fps or 0)

    def read(self, indices: Sequence[int], short_side: int | None) -> Frames:
        return shrunk(self._decoder.get_frames_at(list(indices)).data.numpy(), short_side)
