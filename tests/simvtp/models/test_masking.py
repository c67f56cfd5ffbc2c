import pytest
import torch

from simvtp.config.presets import preset
from simvtp.config.schema import Mask
from simvtp.config.tube_counts import tubes_masked, units_masked
from simvtp.models.masking import draw_text_mask, draw_video_mask
from simvtp.runtime.seeding import generator
from tests.small_config import CONFIG

BASE, TINY = preset("base").model, CONFIG.model
PAD, CLS, SEP, MASK = 0, 2, 3, 4


def test_the_papers_counts() -> None:
    # method: int(0.9 * 196) = 176 of every slot, 160 of 1568 tubes visible
    assert units_masked(0.9, 196) == 176
    assert BASE.tubes == 1568
    assert BASE.tubes - tubes_masked(BASE, Mask(video=0.9, text=0.75, kind="tube")) == 160


@pytest.mark.parametrize(("ratio", "masked"), [(0.0, 0), (0.5, 18), (0.75, 27), (0.9, 32), (0.95, 34), (0.999, 35)])
def test_counts_of_tiny(ratio: float, masked: int) -> None:
    assert units_masked(ratio, 36) == masked


def test_rounding_does_not_lose_a_unit() -> None:
    assert 0.29 * 100 < 29
    assert units_masked(0.29, 100) == 29


@pytest.mark.parametrize("kind", ["tube", "frame", "random"])
@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.75, 0.99])
def test_visible_and_masked_partition_the_tubes(kind: str, ratio: float) -> None:
    mask = Mask(video=ratio, text=0.75, kind=kind)
    drawn = draw_video_mask(5, TINY, mask, generator(0))
    both = torch.cat((drawn.visible, drawn.masked), dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(TINY.tubes).expand(5, -1))
    assert drawn.masked.shape == (5, tubes_masked(TINY, mask))
    assert drawn.visible.shape[1] > 0
    for part in (drawn.visible, drawn.masked):
        assert torch.equal(part, part.sort(dim=1).values)


def test_a_tube_mask_is_the_same_in_all_slots() -> None:
    drawn = draw_video_mask(4, TINY, Mask(video=0.75, text=0.5, kind="tube"), generator(1))
    slots = drawn.visible.view(4, TINY.slots, -1)
    places = slots - torch.arange(TINY.slots).view(1, -1, 1) * TINY.cells
    assert torch.equal(places, places[:, :1].expand_as(places))
    assert not torch.equal(places[0], places[1])  # but each clip has its own


def test_a_frame_mask_hides_whole_slots() -> None:
    drawn = draw_video_mask(4, TINY, Mask(video=0.5, text=0.5, kind="frame"), generator(2))
    slots = (drawn.masked // TINY.cells).view(4, 2, TINY.cells)
    assert torch.equal(slots, slots[:, :, :1].expand_as(slots))


def test_every_place_is_masked_equally_often() -> None:
    drawn = draw_video_mask(4000, TINY, Mask(video=0.5, text=0.5, kind="random"), generator(3))
    share = torch.bincount(drawn.masked.flatten(), minlength=TINY.tubes) / 4000
    assert (share - 0.5).abs().max() < 0.05


def test_text_mask_leaves_special_tokens_and_the_original_alone() -> None:
    words = torch.tensor([[CLS, 10, 11, 12, SEP, PAD], [CLS, 13, 14, 15, 16, SEP]])
    before = words.clone()
    drawn = draw_text_mask(words, 0.999999, MASK, (PAD, CLS, SEP), generator(0))
    assert torch.equal(words, before)  # trap: another objective must not see masked ids
    assert drawn.words.tolist() == [[CLS, MASK, MASK, MASK, SEP, PAD], [CLS, MASK, MASK, MASK, MASK, SEP]]
    assert drawn.positions.tolist() == [1, 2, 3, 7, 8, 9, 10]
    assert drawn.targets.tolist() == [10, 11, 12, 13, 14, 15, 16]


def test_text_ratio_zero_masks_nothing_and_others_their_share() -> None:
    words = torch.full((200, 50), 9)
    assert draw_text_mask(words, 0.0, MASK, (PAD, CLS, SEP), generator(0)).positions.numel() == 0
    share = draw_text_mask(words, 0.15, MASK, (PAD, CLS, SEP), generator(0)).positions.numel() / words.numel()
    assert share == pytest.approx(0.15, abs=0.012)


def test_masks_follow_the_seed() -> None:
    mask = CONFIG.mask
    first, again, other = (draw_video_mask(3, TINY, mask, generator(seed, "m")).visible for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
