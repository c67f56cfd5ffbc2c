"""Reader of video files by torchcodec, where it is installed (`pip install torchcodec`; needs FFmpeg's libraries)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from simvtp.data.video.container import open_container, refuse_unordered, video_stream
from simvtp.data.video.frames import Frames, read_blocks
from simvtp.data.video.paths import ffmpeg_url
from simvtp.errors import DataError


class TorchCodecReader:
    """One video file.

    path: the video. seconds: time limit of FFmpeg's opening it; torchcodec itself has none. Raises DataError if
    torchcodec is not there, RuntimeError or av.error.FFmpegError where the file cannot be read.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        try:
            from torchcodec.decoders import VideoDecoder
        except (ImportError, RuntimeError, OSError) as error:
            why = (str(error).strip().splitlines() or [""])[0]
            raise DataError(
                f"data.reader: torchcodec cannot be used here ({why}); install it with FFmpeg's libraries, or take auto"
            ) from error
        refuse_unordered(path, "torchcodec", seconds)
        with open_container(path, seconds) as file:
            index = video_stream(file, path).index  # as the other readers; torchcodec would take the largest
        self._decoder = VideoDecoder(
            ffmpeg_url(path), stream_index=index, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
        )
        self.frame_count = int(self._decoder.metadata.num_frames)
        self.frames_per_second = float(self._decoder.metadata.average_fps or 0)

    def read(self, indices: Sequence[int], short_side: int | None) -> Frames:
        """uint8 [T, H, W, 3], RGB, upright, of rising indices; smaller where the short side is above `short_side`."""
        return read_blocks(lambda some: self._decoder.get_frames_at(list(some)).data.numpy(), indices, short_side)
