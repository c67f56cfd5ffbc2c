from __future__ import annotations

import numpy as np
import pytest

from simvtp.data.sprites.rendering import OUTLINES, draw, encode
from simvtp.data.sprites.scenes import SHAPES, Clip, Key, parse_spec

# Every setting of what a clip looks like; a later one in the same text counts.
PLAIN = "tiny?frames=8&pixels=48&objects=1&share=1&regularity=1&pan=0&shake=0&noise=0"
SPEC = parse_spec(PLAIN)


def clip(number: int, motion: str = "still", shape: str = "disc", first: str = "red", second: str = "blue") -> Clip:
    return Clip(f"made{number}", "unused.mp4", Key(shape, first, second, motion), ("unused",))


def red(frames: np.ndarray) -> np.ndarray:
    """[T, H, W]: where objects are, red ones on a blue ground whose ornaments are neither."""
    shades = frames.astype(int)
    return (shades[..., 0] > 1.8 * shades[..., 2]) & (shades[..., 0] > 3 * shades[..., 1])


def shift(before: np.ndarray, after: np.ndarray) -> tuple[int, int]:
    """Rows and columns that `before` is to be moved by, from -8 to 8, to lie on `after` best."""
    moves = [(down, right) for down in range(-8, 9) for right in range(-8, 9)]
    return max(moves, key=lambda move: (np.roll(before, move, (0, 1)) & after)[8:-8, 8:-8].sum())


@pytest.mark.parametrize(("motion", "axis", "sign"), [("left", 1, -1), ("right", 1, 1), ("up", 0, -1), ("down", 0, 1)])
def test_objects_travel_the_way_that_the_key_says(motion: str, axis: int, sign: int) -> None:
    spec = parse_spec(f"{PLAIN}&objects=4")
    for number in range(5):
        seen = red(draw(spec, clip(number, motion)))
        moved = np.array([shift(seen[t], seen[t + 1]) for t in range(7)]).mean(axis=0)
        assert sign * moved[axis] > 2
        assert abs(moved[1 - axis]) < 0.5


def test_objects_grow_and_shrink_and_stay() -> None:
    spec = parse_spec(f"{PLAIN}&objects=9")
    for number in range(5):
        areas = {m: red(draw(spec, clip(number, m))).sum(axis=(1, 2)) for m in ("grow", "shrink", "still")}
        assert areas["grow"][-1] > 2 * areas["grow"][0]
        assert areas["shrink"][0] > 2 * areas["shrink"][-1]
        assert np.ptp(areas["still"]) == 0


def test_blinking_objects_are_there_in_every_other_frame() -> None:
    seen = red(draw(parse_spec(f"{PLAIN}&objects=9"), clip(0, "blink"))).sum(axis=(1, 2)) > 20
    assert seen.sum() == 4
    assert not (seen[1:] & seen[:-1]).any()


def test_no_outline_leaves_its_cell() -> None:
    side = np.linspace(-2, 2, 81, dtype=np.float32)
    x, y = side[None, :], side[:, None]
    assert OUTLINES.keys() == SHAPES.keys()
    for outline in OUTLINES.values():
        inside = outline(x, y, np.float32(1)) < 0
        assert inside.any()
        assert not (inside & (np.maximum(abs(x), abs(y)) > 1.001)).any()


def test_a_regular_scene_repeats_at_the_spacing_of_its_objects() -> None:
    spec = parse_spec(f"{PLAIN}&objects=9")
    for number in range(5):
        frames = draw(spec, clip(number, "left", "ring")).astype(float)
        error = {gap: np.abs(frames[:, :, gap:] - frames[:, :, :-gap]).mean() for gap in (8, 16)}
        assert error[16] < 0.4 * error[8]  # what is left is the light
    loose = parse_spec(f"{PLAIN}&objects=9&regularity=0")
    frames = draw(loose, clip(0, "left", "ring")).astype(float)
    assert np.abs(frames[:, :, 16:] - frames[:, :, :-16]).mean() > 2 * error[16]


def test_share_is_the_part_of_the_frame_that_shows_objects() -> None:
    """Only objects change there: the panels around are still."""

    def part(share: float) -> float:
        spec = parse_spec(f"{PLAIN}&objects=36&share={share}")
        clips = [draw(spec, clip(number, "blink")).astype(int) for number in range(30)]
        return float(np.mean([np.ptp(frames, axis=0).max(axis=2) > 40 for frames in clips]))

    assert part(0.25) == pytest.approx(0.25 * part(1.0), rel=0.25)


def test_noise_and_shake_are_what_the_spec_says() -> None:
    noisy = parse_spec(f"{PLAIN}&objects=16&noise=8")
    difference = draw(noisy, clip(0)).astype(float) - draw(noisy, clip(0), noise=False)
    assert difference.std() == pytest.approx(8, rel=0.1)
    still, shaken = (draw(parse_spec(f"{PLAIN}&objects=16&shake={s}"), clip(0)) for s in (0, 2))
    assert (still[1:] == still[:-1]).all()
    assert (shaken[1:] != shaken[:-1]).any()


def test_the_camera_pans_over_the_ground_but_not_over_the_objects() -> None:
    still, moving = (draw(parse_spec(f"{PLAIN}&objects=9&pan={pan}"), clip(3)) for pan in (0, 1))
    objects = red(still)[0]
    assert (still == still[0]).all()
    assert (moving[:, ~objects] != moving[0, ~objects]).any()
    assert (red(moving)[:, objects].mean(axis=1) > 0.98).all()


def test_the_same_clip_has_the_same_bytes_and_another_has_others() -> None:
    assert encode(draw(SPEC, clip(1))) == encode(draw(SPEC, clip(1)))
    assert encode(draw(SPEC, clip(1))) != encode(draw(SPEC, clip(2)))


def test_frames_and_pixels_are_those_of_the_spec() -> None:
    frames = draw(
        parse_spec(f"{PLAIN}&frames=12&pixels=64&share=0.5&regularity=0.5"), clip(1, "up", "bar", "pink", "green")
    )
    assert frames.shape == (12, 64, 64, 3)
    assert frames.dtype == np.uint8
