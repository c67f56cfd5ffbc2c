"""Rebuilding masked clips and captions, with heads whose right answer is known."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from simvtp.config.schema import Config, override
from simvtp.data.tokenizer import Tokenizer, load_tokenizer
from simvtp.inference.reconstruct import reconstruct, video_of
from simvtp.models.build import fresh_model
from simvtp.models.embeddings import cut_tubes
from simvtp.models.objectives import pixel_targets
from simvtp.models.simvtp import WordHead
from tests.small_config import CONFIG

CAPTION = "a red disc moves left and turns to blue"


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    words = dict.fromkeys(f"{CAPTION} the ring stays still".split())
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    return path


def made(vocabulary: Path, **changes: object) -> tuple[Config, Tokenizer]:
    config = override(CONFIG, {key.replace("__", "."): value for key, value in changes.items()})
    return config, load_tokenizer(str(vocabulary), "")


class Knows(nn.Module):
    """A pixel decoder that predicts the true normalised pixels of the clips it was given."""

    def __init__(self, tubes: Tensor) -> None:
        super().__init__()
        self.tubes = tubes

    def forward(self, encoded: Tensor, visible: Tensor, masked: Tensor) -> Tensor:  # noqa: ARG002
        own = torch.stack([row[ids] for row, ids in zip(self.tubes, masked, strict=True)])
        return pixel_targets(own)


class Says(WordHead):
    """A word head that always predicts one word."""

    def __init__(self, word: int, width: int, size: int) -> None:
        super().__init__(width, size)
        nn.init.zeros_(self.weight)
        self.bias.data = torch.eye(size)[word]


def clips() -> Tensor:
    random = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (2, 8, 48, 48, 3), generator=random, dtype=torch.uint8)


def test_video_of_undoes_tubes_of(vocabulary: Path) -> None:
    config, _ = made(vocabulary)
    assert torch.equal(video_of(cut_tubes(clips(), config.model), config.model), clips())


def test_a_decoder_that_knows_gives_the_clip_back_and_visible_tubes_are_left_alone(vocabulary: Path) -> None:
    config, tokenizer = made(vocabulary, mask__video=0.75)
    model = fresh_model(config, tokenizer)
    model.pixel_decoder = Knows(cut_tubes(clips(), config.model))  # type: ignore[assignment]
    ids = tokenizer.encode(["a red disc moves left", "the ring stays still"], 24)
    for clip, rebuilt in zip(clips().int(), reconstruct(model, config, tokenizer, clips(), ids), strict=True):
        assert rebuilt.rebuilt is not None
        assert rebuilt.error is not None
        assert rebuilt.error < 1e-6
        assert (torch.from_numpy(rebuilt.rebuilt).int() - clip).abs().max() <= 1
        hidden = torch.from_numpy(rebuilt.masked).int() != clip
        assert 0.74 < hidden.float().mean() <= 0.75  # some hidden pixels are grey by chance


def test_a_decoder_that_guesses_the_mean_has_error_1(vocabulary: Path) -> None:
    config, tokenizer = made(vocabulary)
    model = fresh_model(config, tokenizer)
    assert model.pixel_decoder is not None
    nn.init.zeros_(model.pixel_decoder.head.weight)
    nn.init.zeros_(model.pixel_decoder.head.bias)
    (rebuilt,) = reconstruct(model, config, tokenizer, clips()[:1], tokenizer.encode(["a red disc"], 24))
    assert rebuilt.error is not None
    assert abs(rebuilt.error - 127 / 128) < 1e-3  # unbiased variance 1 over 128 pixels


def test_words_that_were_masked_carry_the_guess_and_the_others_none(vocabulary: Path) -> None:
    config, tokenizer = made(vocabulary, mask__text=0.5)
    model = fresh_model(config, tokenizer)
    (red,) = tokenizer.encode(["red"], 3)
    model.word_head = Says(red[1], config.model.width, tokenizer.size)
    (rebuilt,) = reconstruct(model, config, tokenizer, clips()[:1], tokenizer.encode([CAPTION], 24))
    assert " ".join(word.true for word in rebuilt.words) == CAPTION
    assert {word.guess for word in rebuilt.words} == {None, "red"}


def test_a_run_without_a_head_shows_what_it_has(vocabulary: Path) -> None:
    config, tokenizer = made(vocabulary, objective__mvm=0)
    (rebuilt,) = reconstruct(
        fresh_model(config, tokenizer), config, tokenizer, clips()[:1], tokenizer.encode(["a red disc"], 24)
    )
    assert rebuilt.rebuilt is None
    assert rebuilt.error is None


def test_a_run_that_drops_masked_words_and_decodes_a_part_is_shown_whole(vocabulary: Path) -> None:
    config, tokenizer = made(vocabulary, mask__words="dropped", mask__decoded=0.5, mask__text=0.5)
    (rebuilt,) = reconstruct(
        fresh_model(config, tokenizer), config, tokenizer, clips()[:1], tokenizer.encode([CAPTION], 24)
    )
    assert " ".join(word.true for word in rebuilt.words) == CAPTION
    assert sum(word.guess is not None for word in rebuilt.words) in range(1, 9)
    hidden = torch.from_numpy(rebuilt.masked).int() != clips()[0].int()
    assert 0.87 < hidden.float().mean() <= 0.89  # 32 of 36 cells, not the half of them that training decodes
