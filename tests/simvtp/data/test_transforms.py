"""Each operation against timm's own on PIL pictures; determinism, and what no clip may suffer."""

import numpy as np
import pytest
import torch
from PIL import Image

from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.data.transforms import (
    OPERATIONS,
    Augmentation,
    Box,
    PluginAugmentation,
    decoded_side,
    draw_box,
    erase,
    names_direction,
    rand_augment,
)
from simvtp.errors import ConfigError
from simvtp.runtime.timm_compat import timm

SIDE = 64
auto_augment = timm.data.auto_augment


def picture() -> np.ndarray:
    """Smooth colours with some edges: interpolations differ little in it."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    waves = [np.sin(7 * rows + 3 * columns), np.cos(5 * columns), np.sin(4 * rows * columns)]
    pixels = 130 + 90 * np.stack(waves, axis=2)
    pixels[20:40, 10:50] *= 0.6
    return pixels.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", list(OPERATIONS))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_operation_is_timms(name: str, sign: float, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = picture(), picture()[::-1].copy()
    clip = torch.from_numpy(np.stack([first, second])).permute(0, 3, 1, 2)
    actual = OPERATIONS[name](clip, 7.0, sign).permute(0, 2, 3, 1).numpy()
    # timm draws the sign itself: negative where random.random() > 0.5
    monkeypatch.setattr(auto_augment.random, "random", lambda: 0.9 if sign < 0 else 0.1)
    values = {"translate_pct": 0.45, "img_mean": (124, 116, 104)}
    level = auto_augment.LEVEL_TO_ARG[name]
    arguments = level(7.0, values) if level is not None else ()
    extra = {"fillcolor": (124, 116, 104), "resample": Image.Resampling.BILINEAR}
    for ours, before in zip(actual, (first, second), strict=True):
        keywords = extra if name.startswith(("Rotate", "Shear", "Translate")) else {}
        theirs = np.asarray(auto_augment.NAME_TO_OP[name](Image.fromarray(before), *arguments, **keywords))
        apart = np.abs(ours.astype(int) - theirs.astype(int))
        assert apart.mean() < 1.5, name
        assert (apart > 3).mean() < 0.05, name  # borders, where interpolation meets the fill
        if name not in ("AutoContrast", "Equalize"):
            assert np.abs(theirs.astype(int) - before).mean() > 0.4, "the operation did nothing to this picture"


def test_all_frames_of_a_clip_are_treated_alike() -> None:
    clip = np.stack([picture()] * 4)
    for number in range(40):
        made = rand_augment(clip, "m7-n4", np.random.default_rng(number))
        assert (made == made[:1]).all()
    boxes = [erase(np.zeros((3, SIDE, SIDE, 3), np.uint8), np.random.default_rng(n)) != 0 for n in range(40)]
    for box in boxes:
        where = box.any(axis=3)
        rows, columns = np.flatnonzero(where[0].any(axis=1)), np.flatnonzero(where[0].any(axis=0))
        assert np.ptp(rows) + 1 == len(rows)
        assert where[0].sum() > 0.9 * len(rows) * len(columns)  # a full box of noise, of which few values are 0
        assert (where[0] == where[1]).mean() > 0.95
        assert 0.01 < len(rows) * len(columns) / SIDE**2 < 0.36


def test_a_clip_hangs_on_seed_epoch_and_sample_alone() -> None:
    clip = np.stack([picture()] * 2)
    made = Augmentation("m7-n4", "all", 0.5)
    kept = clip.copy()
    one = made(clip, ("a",), 3, 1, 7)
    assert (clip == kept).all()
    assert (made(clip, ("a",), 3, 1, 7) == one).all()
    others = [made(clip, ("a",), *draw) for draw in ((4, 1, 7), (3, 2, 7), (3, 1, 8))]
    assert sum((other == one).all() for other in others) == 0
    clip.setflags(write=False)  # as cached frames are
    made(clip, ("a",), 3, 1, 7)


def test_half_are_mirrored_and_none_whose_caption_names_a_side() -> None:
    clip = np.stack([picture()] * 2)
    mirrored = clip[:, :, ::-1]

    def share(flip: str, caption: str) -> float:
        actual = [Augmentation(flip=flip)(clip, ("a dog", caption), 0, 0, index) for index in range(400)]
        assert all((one == clip).all() or (one == mirrored).all() for one in actual)
        return float(np.mean([(one == mirrored).all() for one in actual]))

    assert 0.4 < share("safe", "a dog runs") < 0.6
    assert share("safe", "a dog runs Left") == 0
    assert 0.4 < share("all", "a dog runs left") < 0.6
    assert share("none", "a dog runs") == 0


@pytest.mark.parametrize(
    ("caption", "is_named"),
    [
        ("The disc glides rightwards", True), ("moves eastward", True), ("turns counterclockwise", True),
        ("a left-handed player", True), ("text on a screen", True), ("the upright bass", False),
        ("a bright leftover", False), ("the eastern shore", True), ("a feast", False), ("a cleft", False),
    ],
)  # fmt: skip
def test_what_names_a_side(caption: str, is_named: bool) -> None:
    assert names_direction((caption,)) == is_named


def test_erasing_comes_as_often_as_asked() -> None:
    clip = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    erased = [Augmentation(erasing=0.25)(clip, (), 0, 0, index).any() for index in range(800)]
    assert 0.2 < np.mean(erased) < 0.3
    assert Augmentation().is_identity


@pytest.mark.parametrize("change", ["finetune.rand_augment=m11-n4", "pretrain.flip=left", "finetune.erasing=2"])
def test_bad_settings_are_named(change: str) -> None:
    key, _, value = change.partition("=")
    with pytest.raises(ConfigError, match=key):
        override(preset("tiny"), {key: value})


FRAME = (336, 596)  # of a WebVid video


def boxes_of(crop: str, area: float = 0.5, frame: tuple[int, int] = FRAME, draws: int = 4000) -> list[Box]:
    drawn = np.random.default_rng(0).random((draws, 4)).tolist()
    return [draw_box(crop, *frame, four, size=224, area=area) for four in drawn]


def test_without_a_crop_the_box_is_the_central_square() -> None:
    assert draw_box("none", 90, 120, [0, 0, 0, 0], size=48) == (0, 15, 90, 90)


def test_multiscale_crops_are_the_ten_shapes_and_thirteen_places_of_the_release() -> None:
    actual = boxes_of("multiscale")
    shapes = {(336, 336), (336, 294), (294, 336), (294, 294), (294, 252), (252, 294), (252, 252), (252, 221),
              (221, 252), (221, 221)}  # fmt: skip
    assert {box[2:] for box in actual} == shapes
    smallest = {box[:2] for box in actual if box[2:] == (221, 221)}  # free: 115 x 375 pixels, in steps of 28 and 93
    assert smallest == {(0, 0), (0, 372), (112, 0), (112, 372), (56, 186), (56, 0), (56, 372), (112, 186), (0, 186),
                        (28, 93), (28, 279), (84, 93), (84, 279)}  # fmt: skip
    assert min(wide / tall for tall, wide in shapes) == pytest.approx(0.857, abs=1e-3)
    assert max(wide / tall for tall, wide in shapes) == pytest.approx(1.167, abs=1e-3)


def test_a_multiscale_crop_of_nearly_the_clips_size_has_that_size() -> None:
    assert {side for box in boxes_of("multiscale", frame=(300, 400)) for side in box[2:]} == {300, 262, 224, 198}  # 225
    assert max(tall for _, _, tall, _ in boxes_of("multiscale", frame=(223, 400))) == 223  # never above the frame


@pytest.mark.parametrize("area", [0.08, 0.5])
def test_resized_crops_cover_all_areas_from_the_least_on(area: float) -> None:
    actual = boxes_of("resized", area, (240, 320))
    shares = np.array([tall * wide / (240 * 320) for _, _, tall, wide in actual])
    assert area * 0.95 < shares.min() < area * 1.1
    assert shares.max() > 0.97
    aspects = np.array([wide / tall for _, _, tall, wide in actual])
    assert 0.7 < aspects.min() < 0.8
    assert 1.28 < aspects.max() < 1.38
    for top, left, tall, wide in actual:
        assert 0 <= top <= 240 - tall
        assert 0 <= left <= 320 - wide
    # areas are drawn evenly: below 30% of the frame every box fits, so it holds its share of the draws
    if area == 0.08:
        assert np.mean(shares < 0.19) / np.mean(shares < 0.30) == pytest.approx(0.5, abs=0.05)


def test_a_resized_crop_that_does_not_fit_is_drawn_again_and_then_is_the_centre() -> None:
    # 99% of a frame of 4:3 with aspect 3:4 is higher than the frame: the next draw decides
    first = draw_box("resized", 240, 320, [0.99, 0.0, 0.0, 0.0], size=224, area=0.08)
    assert first == draw_box("resized", 240, 320, [0.99, 0.0, 0.0, 0.0], size=224, area=0.08)
    assert 0.08 < first[2] * first[3] / (240 * 320) < 1
    # a strip has no box of half its area with an aspect of at most 4:3
    assert draw_box("resized", 30, 300, [0.5, 0.5, 0.5, 0.5], size=224) == (0, 130, 30, 40)
    assert draw_box("resized", 300, 30, [0.5, 0.5, 0.5, 0.5], size=224) == (130, 0, 40, 30)


def test_videos_are_decoded_as_large_as_the_smallest_box_needs() -> None:
    assert decoded_side("none", 224) == 224
    assert decoded_side("multiscale", 224) == 340  # 0.66 of it is 224.4
    assert decoded_side("resized", 224, 0.08) == 915  # 8% of 915 x 915 at 3:4 is 224 wide


def test_an_augmentation_of_a_plugin_moves_no_other_draw_and_must_give_a_clip() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    plain = Augmentation(erasing=1.0)
    for chance in (0.0, 1.0):
        added = Augmentation(erasing=1.0, added=(PluginAugmentation("as_it_is", chance, lambda given, _: given),))
        np.testing.assert_array_equal(added(clip, (), 0, 0, 3), plain(clip, (), 0, 0, 3))
    wrong = Augmentation(added=(PluginAugmentation("half", 1.0, lambda given, _: given[:1]),))
    with pytest.raises(ConfigError, match=r"augmentation half: it makes uint8 \(1, 16, 16, 3\)"):
        wrong(clip, (), 0, 0, 3)
