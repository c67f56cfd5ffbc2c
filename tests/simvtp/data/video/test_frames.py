"""Frames at the size that is wanted: their colours beside Pillow's filter at full colour resolution."""

from __future__ import annotations

import av
import numpy as np
import pytest
from PIL import Image

from simvtp.data.video.frames import Scaler, resize_short_side


def coloured(width: int, height: int, seed: int) -> av.VideoFrame:
    """Strong colours in smooth patches, as a decoder gives them: luma whole, colours at half the resolution."""
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 24, width // 24, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")


def by_pillow(frame: av.VideoFrame, height: int, width: int) -> np.ndarray:
    whole = frame.reformat(format="yuv444p", interpolation="BICUBIC").to_ndarray(format="rgb24")
    return np.asarray(Image.fromarray(whole).resize((width, height), Image.Resampling.BILINEAR)).astype(float)


@pytest.mark.parametrize("wide", [149, 150])
@pytest.mark.parametrize(("width", "height"), [(320, 240), (1280, 720)])
def test_scaled_frames_keep_their_colours(width: int, height: int, wide: int) -> None:
    """Straight to RGB of an even width, FFmpeg halves the resolution of colours: off by 3 and 11 of 255 here."""
    frame = coloured(width, height, 0)
    actual = Scaler().rgb(frame, 112, wide)
    assert actual.shape == (112, wide, 3)
    assert np.abs(actual - by_pillow(frame, 112, wide)).mean() < 2.0
    straight = frame.to_ndarray(format="rgb24", width=150, height=112, interpolation="AREA")
    assert np.abs(straight - by_pillow(frame, 112, 150)).mean() > 2.0  # or the limit above shows nothing


def test_one_scaler_serves_frames_of_several_sizes() -> None:
    scaler = Scaler()
    for width, height in ((320, 240), (96, 64), (320, 240)):
        frame = coloured(width, height, 1)
        for size in ((48, 64), (height, width), (50, 60)):
            assert np.array_equal(scaler.rgb(frame, *size), Scaler().rgb(frame, *size))


def test_frames_that_are_decoded_already_are_made_small_in_the_same_way() -> None:
    frame = coloured(320, 240, 2)
    whole = frame.to_ndarray(format="rgb24")
    actual = resize_short_side(whole[None], 112)[0]
    assert np.abs(actual.astype(float) - Scaler().rgb(frame, *actual.shape[:2])).mean() < 2.0
    assert np.array_equal(resize_short_side(whole[None], 240)[0], whole)
