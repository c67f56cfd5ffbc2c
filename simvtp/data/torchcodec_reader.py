"""Video files by torchcodec, where it is installed (`pip install torchcodec`; it takes FFmpeg's shared libraries)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simvtp.data.errors import DataError
from simvtp.data.frames import Frames, shrunk
from simvtp.data.members import opened_as


class TorchCodec:
    """A video by path. Raises DataError where torchcodec is not there, RuntimeError where it cannot read the file."""

    def __init__(self, path: Path, seconds: float) -> None:  # noqa: ARG002  (it has no time limit)
        try:
            from torchcodec.decoders import VideoDecoder
        except (ImportError, RuntimeError, OSError) as error:
            why = (str(error).strip().splitlines() or [""])[0]
            raise DataError(
                f"data.reader: torchcodec cannot be used here ({why}); install it with FFmpeg's libraries, or take auto"
            ) from error
        self._decoder = VideoDecoder(opened_as(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact")
        self.frame_count = int(self._decoder.metadata.num_frames)
        self.frames_per_second = float(self._decoder.metadata.average_fps or 0)

    def read(self, indices: Sequence[int], short_side: int | None) -> Frames:
        return shrunk(self._decoder.get_frames_at(list(indices)).data.numpy(), short_side)
