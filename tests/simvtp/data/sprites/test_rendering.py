from __future__ import annotations

import numpy as np
import pytest

from simvtp.data.sprites.rendering import draw, encode
from simvtp.data.sprites.scenes import Clip, Key, parse_spec

SPEC = parse_spec("tiny")


def clip(number: int, motion: str = "still", shape: str = "disc", first: str = "red", second: str = "blue") -> Clip:
    return Clip(f"made{number}", "unused.mp4", Key(shape, first, second, motion), None, ("unused",))


def bright(frames: np.ndarray) -> np.ndarray:
    """[T, H, W]: where the object is; the ground is dark."""
    return frames.max(axis=-1) > 110


def centres(frames: np.ndarray) -> np.ndarray:
    """[T, 2]: mean row and column of the object."""
    return np.array([np.argwhere(mask).mean(axis=0) for mask in bright(frames)])


@pytest.mark.parametrize(("motion", "axis", "sign"), [("left", 1, -1), ("right", 1, 1), ("up", 0, -1), ("down", 0, 1)])
def test_it_travels_the_way_that_the_key_says(motion: str, axis: int, sign: int):
    for number in range(10):
        moved = centres(draw(SPEC, clip(number, motion)))
        assert sign * (moved[-1] - moved[0])[axis] > 9
        assert abs((moved[-1] - moved[0])[1 - axis]) < 4


def test_it_grows_and_shrinks_and_stays():
    for number in range(10):
        areas = {m: bright(draw(SPEC, clip(number, m))).sum(axis=(1, 2)) for m in ("grow", "shrink", "still")}
        assert areas["grow"][-1] > 2 * areas["grow"][0]
        assert areas["shrink"][0] > 2 * areas["shrink"][-1]
        assert areas["still"].max() < 1.25 * areas["still"].min()
        assert np.ptp(centres(draw(SPEC, clip(number))), axis=0).max() < 2.5


def test_blinking_shows_both_colours():
    for number in range(20):
        frames = draw(SPEC, clip(number, "blink"))
        seen = bright(frames).sum(axis=(1, 2)) > 20
        assert seen.sum() == 4
        assert not (seen[1:] & seen[:-1]).any()
        red, blue = ([frame[bright(frame[None])[0]][:, c].mean() for frame in frames[seen]] for c in (0, 2))
        assert red[0] > blue[0]
        assert blue[-1] > red[-1]


def test_the_colour_switches_at_frame_3_to_5():
    switches = set()
    for number in range(40):
        frames = draw(SPEC, clip(number)).astype(int)
        is_blue = [frame[bright(frame[None])[0]].mean(axis=0)[2] > 150 for frame in frames]
        switches.add(is_blue.index(True))
        assert is_blue == sorted(is_blue)
    assert switches == {3, 4, 5}


def test_the_same_clip_has_the_same_bytes_and_another_has_others():
    assert encode(draw(SPEC, clip(1))) == encode(draw(SPEC, clip(1)))
    assert encode(draw(SPEC, clip(1))) != encode(draw(SPEC, clip(2)))


def test_frames_and_pixels_are_those_of_the_spec():
    spec = parse_spec("tiny?frames=12&pixels=64&objects=2")
    two = Clip("made", "unused.mp4", Key("bar", "pink", "cyan", "up"), ("ring", "green"), ("unused",))
    frames = draw(spec, two)
    assert frames.shape == (12, 64, 64, 3)
    assert frames.dtype == np.uint8
    greenish = (frames[..., 1] > 110) & (frames[..., 0] < 90) & (frames[..., 2] < 110)
    assert greenish.sum(axis=(1, 2)).min() > 15  # the ring, in every frame
