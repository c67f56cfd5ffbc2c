"""Masked words that leave the encoder: who stays, who is asked, and what the decoder may know."""

from dataclasses import replace

import pytest
import torch

from simvtp.models.masking import DroppedText, TextMask, drop_masked
from simvtp.models.objectives import losses
from simvtp.models.simvtp import WordDecoder
from simvtp.models.transformer import Group
from tests.simvtp.models import small_batch

CLS, SEP, PAD, MASK = 2, 3, 0, 4


def test_what_stays_and_what_is_asked_literal() -> None:
    words = torch.tensor([[CLS, MASK, 8, MASK, SEP], [CLS, 9, SEP, PAD, PAD], [CLS, MASK, 7, SEP, PAD]])
    mask = TextMask(words, torch.tensor([1, 3, 11]), torch.tensor([21, 22, 23]))
    actual = drop_masked(mask, words != PAD)
    assert actual.visible.tolist() == [[0, 2, 4], [0, 1, 2], [0, 2, 3]]
    assert actual.visible_present.all()
    assert actual.masked[0].tolist() == [1, 3]
    assert actual.masked[2, 0].item() == 1
    assert actual.masked_present.tolist() == [[True, True], [False, False], [True, False]]
    assert actual.masked_index.tolist() == [0, 1, 4]
    assert mask.clean().tolist() == [[CLS, 21, 8, 22, SEP], [CLS, 9, SEP, PAD, PAD], [CLS, 23, 7, SEP, PAD]]


def test_rows_are_padded_to_the_longest() -> None:
    words = torch.tensor([[CLS, 7, 8, SEP], [CLS, MASK, MASK, SEP]])
    actual = drop_masked(TextMask(words, torch.tensor([5, 6]), torch.tensor([1, 1])), words != PAD)
    assert actual.visible_present.tolist() == [[True] * 4, [True, True, False, False]]
    assert actual.visible[1, :2].tolist() == [0, 3]


def test_no_masked_word_is_a_zero_that_can_be_trained_through() -> None:
    made = small_batch.config(mask__words="dropped")
    data = small_batch.batch(made)
    none = TextMask(data.text_mask.clean(), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    computed = losses(
        small_batch.model(made), replace(data, text_mask=none, dropped=drop_masked(none, data.present)), made
    )
    computed["mlm"].backward()
    assert computed["mlm"].item() == 0.0


def test_the_encoder_never_sees_a_masked_word() -> None:
    made = small_batch.config(mask__words="dropped")
    model, data = small_batch.model(made).eval(), small_batch.batch(made)
    lengths: list[list[int]] = []
    model.encoder.register_forward_pre_hook(lambda _, groups: lengths.append([g.tokens.shape[1] for g in groups[0]]))
    plain = losses(model, data, made)
    seen = made.model.tubes // 2
    assert lengths[0] == [seen + 6, seen + 6, seen, 6]  # joint, mismatched, video, text: 4 of 10 words are gone
    other = data.text_mask.words.clone()
    other[other == MASK] = 17  # what stands in the place of a dropped word does not matter
    changed = losses(model, replace(data, text_mask=replace(data.text_mask, words=other)), made)
    assert {name: value.item() for name, value in changed.items()} == {n: v.item() for n, v in plain.items()}


def test_the_word_decoder_sees_no_padding() -> None:
    made = small_batch.config()
    decoder = WordDecoder(made.model, 12).eval()
    torch.nn.init.normal_(decoder.mask_token)
    tokens, is_word = torch.randn(1, 5, 16), torch.ones(1, 5, dtype=torch.bool)
    text = DroppedText(torch.tensor([[0, 2, 4]]), torch.ones(1, 3, dtype=torch.bool), torch.tensor([[1, 3]]),
                       torch.ones(1, 2, dtype=torch.bool), torch.tensor([0, 1]))  # fmt: skip
    wanted = decoder(Group(tokens, is_word), text)
    assert wanted.shape == (2, 12)
    padded = DroppedText(torch.tensor([[0, 2, 4, 1]]), torch.tensor([[True, True, True, False]]),
                         torch.tensor([[1, 3, 0]]), torch.tensor([[True, True, False]]), text.masked_index)  # fmt: skip
    more = Group(torch.cat((tokens, torch.randn(1, 1, 16)), 1), torch.tensor([[True] * 5 + [False]]))
    assert torch.allclose(decoder(more, padded), wanted, atol=1e-6)
    assert not torch.allclose(wanted[0], wanted[1], atol=1e-3)  # its place tells a masked word from another


@pytest.mark.parametrize(("words", "head"), [("kept", "word_head"), ("dropped", "word_decoder")])
def test_only_what_is_needed_is_there(words: str, head: str) -> None:
    model = small_batch.model(small_batch.config(mask__words=words))
    assert [name for name in ("word_head", "word_decoder") if getattr(model, name) is not None] == [head]
    off = small_batch.model(small_batch.config(mask__words=words, objective__mlm=0))
    assert off.word_head is None
    assert off.word_decoder is None
