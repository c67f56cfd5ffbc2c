"""The random start, against the distributions that the release draws from."""

import pytest
import torch
from torch import nn

from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.models.simvtp import SimVTPModel

ONE_LAYER = override(preset("base"), {"model.depth": 1, "model.decoder_depth": 1})


@pytest.fixture(scope="module")
def model() -> SimVTPModel:
    return SimVTPModel(ONE_LAYER, 100)


def test_the_tube_embedding_starts_as_a_conv3d_of_its_shape(model: SimVTPModel) -> None:
    torch.manual_seed(1)
    conv = nn.Conv3d(3, 768, kernel_size=(2, 16, 16), stride=(2, 16, 16))
    for ours, theirs in ((model.tubes.proj.weight, conv.weight), (model.tubes.proj.bias, conv.bias)):
        assert theirs is not None
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.05)
        assert ours.abs().max().item() <= 1536**-0.5
    assert model.tubes.proj.weight.std().item() == pytest.approx(0.01473, rel=0.005)  # 1 / sqrt(3 x 1536)


def test_mask_tokens_are_cut_at_one_deviation(model: SimVTPModel) -> None:
    drops = SimVTPModel(override(ONE_LAYER, {"mask.words": "dropped"}), 100)
    for decoder in (model.pixel_decoder, drops.word_decoder):
        assert decoder is not None
        assert decoder.mask_token.abs().max().item() <= 0.02
        assert decoder.mask_token.std().item() == pytest.approx(0.0108, rel=0.08)  # of 384 draws


def test_linear_layers_start_xavier_uniform_without_bias(model: SimVTPModel) -> None:
    expand = model.encoder.blocks[0].fc1
    assert expand.weight.std().item() == pytest.approx((2 / (768 + 3072)) ** 0.5, rel=0.005)
    assert expand.bias.abs().max().item() == 0


def test_parts_that_are_on_in_both_start_alike_and_another_seed_differs(model: SimVTPModel) -> None:
    without = SimVTPModel(override(ONE_LAYER, {"objective.mlm": 0}), 100)
    assert torch.equal(model.tubes.proj.weight, without.tubes.proj.weight)
    other = SimVTPModel(override(ONE_LAYER, {"seed": 1}), 100)
    assert not torch.equal(model.tubes.proj.weight, other.tubes.proj.weight)
