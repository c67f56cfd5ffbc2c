"""Videos for tests that need files."""

from pathlib import Path

import av
import numpy as np


def film(path: Path, seed: int) -> Path:
    """Ten frames of 16 x 16 noise."""
    frames = np.random.default_rng(seed).integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.width = stream.height = 16
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path
