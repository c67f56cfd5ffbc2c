"""Packed groups against pre-norm attention written out with loops over sequences and heads."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from simvtp.models import transformer as transformer_module
from simvtp.models.transformer import Block, Group, GroupShape, Transformer, draw_kept, sequence_boundaries
from simvtp.runtime.seeding import generator, seeded

WIDTH, HEADS = 8, 2


def transformer(**named: float) -> Transformer:
    """Two layers with weights, biases and norms that are all far from their initial 0 and 1."""
    made = Transformer(WIDTH, 2, HEADS, **named)  # type: ignore[arg-type]
    random = generator("layers")
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random) * 0.3
    return made.eval()


def groups() -> list[Group]:
    random = generator("tokens")
    is_token = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)
    first, second = (torch.randn(shape, generator=random) for shape in ((2, 5, WIDTH), (3, 4, WIDTH)))
    return [Group(first), Group(second, is_token)]


def slow_sequence(made: Transformer, tokens: Tensor) -> Tensor:
    """One sequence [N, D] without padding, head by head."""
    x, size = tokens, WIDTH // HEADS
    for block in made.blocks:
        assert isinstance(block, Block)
        normed = functional.layer_norm(x, (WIDTH,), block.norm1.weight, block.norm1.bias, 1e-6)
        q, k, v = (normed @ block.attn.qkv.weight[i * WIDTH : (i + 1) * WIDTH].T for i in range(3))
        q, v = q + block.attn.q_bias, v + block.attn.v_bias
        heads = []
        for first in range(0, WIDTH, size):
            own = slice(first, first + size)
            heads.append(torch.softmax(q[:, own] @ k[:, own].T / math.sqrt(size), dim=1) @ v[:, own])
        x = x + torch.cat(heads, dim=1) @ block.attn.proj.weight.T + block.attn.proj.bias
        normed = functional.layer_norm(x, (WIDTH,), block.norm2.weight, block.norm2.bias, 1e-6)
        hidden = normed @ block.fc1.weight.T + block.fc1.bias
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        x = x + hidden @ block.fc2.weight.T + block.fc2.bias
    return functional.layer_norm(x, (WIDTH,), made.norm.weight, made.norm.bias, 1e-6)


def test_packed_groups_equal_each_sequence_by_itself() -> None:
    made, given = transformer(), groups()
    actual = made(given)
    assert [g.tokens.shape for g in actual] == [(2, 5, WIDTH), (3, 4, WIDTH)]
    for group, encoded in zip(given, actual, strict=True):
        for row, tokens in enumerate(group.tokens):
            length = len(tokens) if group.present is None else int(group.present[row].sum())
            wanted = slow_sequence(made, tokens[:length])
            assert torch.allclose(encoded.tokens[row, :length], wanted, atol=1e-5), (row, length)


def test_boundaries_make_the_padding_of_a_row_a_sequence_of_its_own() -> None:
    actual = sequence_boundaries(groups())
    assert actual.cumulative.tolist() == [0, 5, 10, 14, 14, 16, 18, 19, 22]
    assert actual.cumulative.dtype == torch.int32
    assert actual.longest == 5


def by_sequence(q: Tensor, k: Tensor, v: Tensor, ends: Tensor, _: Tensor, longest: int, __: int) -> Tensor:
    """Variable-length attention as it is defined: [T, heads, size], each sequence by itself."""
    lengths = ends.diff().tolist()
    assert max(lengths) <= longest
    parts = [part.split(lengths) for part in (q, k, v)]
    mixed = [
        torch.softmax(torch.einsum("nhd,mhd->hnm", a, b) / math.sqrt(a.shape[2]), dim=2) @ c.transpose(0, 1)
        for a, b, c in zip(*parts, strict=True)
    ]
    return torch.cat([part.transpose(0, 1) for part in mixed])


def test_variable_length_attention_gives_the_same_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(
        transformer_module, "varlen_attn", lambda *given: (calls.append(len(given[0])), by_sequence(*given))[1]
    )
    plain, packed, given = transformer(), transformer(), groups()
    packed.varlen = True
    with torch.autocast("cpu", torch.bfloat16):
        wanted, actual = plain(given), packed(given)
    assert calls == [22, 22]  # one call for each layer, of all tokens
    for group, one, other in zip(given, wanted, actual, strict=True):
        there = slice(None) if group.present is None else group.present
        assert torch.allclose(one.tokens[there], other.tokens[there], atol=3e-2)
    packed(given)  # without autocast: fp32, which the kernel does not take
    assert len(calls) == 2


def test_what_stands_in_the_padding_changes_nothing() -> None:
    made, (first, second) = transformer(), groups()
    assert second.present is not None
    other = Group(torch.where(second.present[:, :, None], second.tokens, 1e3), second.present)
    plain, changed = made([first, second]), made([first, other])
    assert torch.equal(plain[0].tokens, changed[0].tokens)
    assert torch.equal(plain[1].tokens[second.present], changed[1].tokens[second.present])
    assert torch.equal(plain[1].mean(), changed[1].mean())


def test_the_mean_counts_no_padding() -> None:
    tokens = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]]])
    assert Group(tokens, torch.tensor([[True, True, False]])).mean().tolist() == [[2.0, 4.0]]
    assert Group(tokens).mean()[0].tolist() == pytest.approx([104 / 3, 36.0])


def test_drop_path_drops_whole_sequences_and_keeps_the_mean() -> None:
    with seeded("drop path"):
        kept = draw_kept(0.75, [GroupShape(400, 3, None), GroupShape(200, 2, None)], torch.device("cpu"))
    assert kept.shape == (2, 1600, 1)
    for branch in kept:
        for sequences in (branch[:1200].view(400, 3), branch[1200:].view(200, 2)):
            assert torch.equal(sequences, sequences[:, :1].expand_as(sequences))  # never a single token
            assert set(sequences[:, 0].tolist()) == {0.0, 4.0}  # dropped, or scaled by 1 / 0.25
            assert sequences[:, 0].mean().item() == pytest.approx(1.0, abs=0.3)
    assert not torch.equal(kept[0], kept[1])  # each branch by itself


def test_the_two_branches_of_a_layer_are_multiplied_by_what_is_kept() -> None:
    block = Block(WIDTH, HEADS)
    for name, parameter in block.named_parameters():
        parameter.data.fill_({"attn.proj.bias": 1.0, "fc2.bias": 10.0}.get(name, 0.0))  # what the branches give
    kept = torch.tensor([[0.0, 0.0, 2.0, 2.0], [2.0, 2.0, 0.0, 0.0]]).unsqueeze(2)
    shapes = [GroupShape(2, 2, None)]
    assert block(torch.zeros(4, WIDTH), shapes, None, kept)[:, 0].tolist() == [20.0, 20.0, 2.0, 2.0]
    assert block(torch.zeros(4, WIDTH), shapes)[:, 0].tolist() == [11.0] * 4


def test_drop_path_rises_with_depth_and_is_off_in_evaluation() -> None:
    made = Transformer(WIDTH, 3, HEADS, drop_path=0.4).train()
    assert made.drop_rates == pytest.approx([0.0, 0.2, 0.4])
    given = [Group(torch.zeros(100, 3, WIDTH))]
    seen: list[torch.Tensor | None] = []
    for block in made.blocks:
        block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[3]))
    made(given)
    made.eval()(given)
    first, second, third, *tested = seen
    assert first is None
    assert tested == [None, None, None]
    assert second is not None
    assert third is not None
    assert set(second.unique().tolist()) == {0.0, 1.25}
    assert third.max().item() == pytest.approx(1 / 0.6)


def test_attention_on_a_cpu_is_in_float32_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []
    attend = functional.scaled_dot_product_attention

    def spy(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        seen.append(q.dtype)
        return attend(q, k, v, attn_mask=attn_mask)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", spy)
    made, given = transformer(), groups()
    exact = made(given)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = made(given)
    assert seen == [torch.float32] * 8  # of two layers, two groups and both calls
    for group, wanted, actual in zip(given, exact, rounded, strict=True):
        there = torch.ones(wanted.tokens.shape[:2], dtype=torch.bool) if group.present is None else group.present
        assert torch.allclose(actual.tokens[there], wanted.tokens[there], atol=0.1)
