"""Running cells: which masked tubes the pixel decoder is asked for."""

import pytest
import torch

from simvtp.config.presets import preset
from simvtp.config.schema import Mask, override
from simvtp.config.tube_counts import tubes_decoded, tubes_masked
from simvtp.models.masking import VideoMask, draw_video_mask, select_decoded
from simvtp.runtime.seeding import generator
from tests.small_config import CONFIG

FOUR = override(CONFIG, {"model.size": 16, "model.patch": 8}).model  # 2 x 2 places, 4 slots
BASE = preset("base").model


def mask(**changes: object) -> Mask:
    return Mask(**{"video": 0.9, "text": 0.75, "kind": "tube", "decoded": 0.5, **changes})  # type: ignore[arg-type]


def test_the_places_of_a_cell_take_turns_literal() -> None:
    everything = torch.arange(16).expand(60, -1)
    drawn = VideoMask(torch.zeros(60, 0, dtype=torch.int64), everything)
    actual = select_decoded(drawn, FOUR, mask(decoded=1 / 3), generator(1)).masked  # a third of 12: four
    # turns go round the cell (0 1 / 3 2), one place a slot, from each of the four starts
    runs = {(0, 6, 11, 13), (2, 7, 9, 12), (3, 5, 8, 14), (1, 4, 10, 15)}
    assert {tuple(row.tolist()) for row in actual} == runs


def test_base_decodes_half_of_every_masked_place() -> None:
    drawn = draw_video_mask(3, BASE, mask(), generator(2))
    actual = select_decoded(drawn, BASE, mask(), generator(3))
    assert actual.masked.shape == (3, 704)  # of 1408
    assert torch.equal(actual.visible, drawn.visible)
    for own, all_masked in zip(actual.masked, drawn.masked, strict=True):
        assert set(own.tolist()) < set(all_masked.tolist())
        assert own.tolist() == sorted(own.tolist())
        assert (torch.bincount(own // 196) - 88).abs().max() <= 44  # no slot is left out
        assert torch.bincount(own % 196, minlength=196).unique().tolist() == [0, 4]  # 4 of 8 slots of each masked place


@pytest.mark.parametrize("kind", ["tube", "frame", "random"])
@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.5, 1.0])
def test_every_clip_decodes_as_many(kind: str, share: float) -> None:
    made = mask(kind=kind, decoded=share, video=0.75)
    drawn = draw_video_mask(5, FOUR, made, generator(4))
    actual = select_decoded(drawn, FOUR, made, generator(5))
    assert actual.masked.shape == (5, tubes_decoded(FOUR, made))
    assert tubes_decoded(FOUR, made) == max(1, round(share * tubes_masked(FOUR, made)))
    for own, all_masked in zip(actual.masked, drawn.masked, strict=True):
        assert len(set(own.tolist())) == len(own)
        assert set(own.tolist()) <= set(all_masked.tolist())


def test_nothing_masked_nothing_decoded() -> None:
    assert tubes_decoded(FOUR, mask(video=0.0)) == 0


def test_all_is_all() -> None:
    drawn = draw_video_mask(2, FOUR, mask(decoded=1.0), generator(6))
    assert select_decoded(drawn, FOUR, mask(decoded=1.0), generator(7)) is drawn
