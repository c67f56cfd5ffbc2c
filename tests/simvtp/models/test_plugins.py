"""Objectives and masks of plugins in the model: what is computed for them, and what is refused."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from simvtp.config.plugins import PretrainObjective, register_mask, register_objective
from simvtp.config.schema import Config, Mask, Model
from simvtp.errors import ConfigError
from simvtp.models.flops import pretrain_gflop, transformer_flop
from simvtp.models.masking import VideoMask, draw_video_mask
from simvtp.models.objectives import Step, losses
from simvtp.models.passes import passes_of
from tests.simvtp.models.small_batch import batch, config, model

pytestmark = pytest.mark.usefixtures("plugins_apart")
ALONE = {f"objective__{name}": 0 for name in ("mvm", "mlm", "vtc", "vtm")}


def objective(shape: tuple[int, ...] = ()) -> None:
    @register_objective("clean")
    @dataclass(frozen=True)
    class Clean(PretrainObjective):
        """weight of an objective over clean inputs"""

        passes = ("clean_video",)

        def head(self, config: Config) -> nn.Module:
            return nn.Linear(config.model.width, 1)

        def loss(self, head: nn.Module | None, step: Step) -> Tensor:
            assert head is not None
            assert step.passes["clean_video"].tokens.shape[1] == step.config.model.tubes
            actual: Tensor = head(step.passes["clean_video"].mean()).square().mean()
            return actual.expand(shape)

        def flop(self, config: Config) -> float:
            return 2.0 * config.model.width


def test_only_what_it_reads_is_computed_and_counted() -> None:
    objective()
    made = config(**ALONE, objective__clean=1)
    assert passes_of(made) == {"clean_video"}
    flop = transformer_flop(64, 16, made.model.depth) + 2 * 16  # 64 tubes of width 16
    flop += 2 * (32 + 64) * (2 * 8 * 8 * 3) * 16  # visible tubes and all tubes are embedded
    assert pretrain_gflop(made) == pytest.approx(3 * flop * made.pretrain.batch / 1e9)


def test_its_head_learns_and_the_other_losses_stay_as_they_are() -> None:
    objective()
    made, plain = config(objective__clean=1, objective__vtc=0), config(objective__vtc=0)
    with_it, data = model(made), batch(plain)
    computed, before = losses(with_it, data, made), losses(model(plain), data, plain)
    assert set(computed) == {"mvm", "mlm", "vtm", "clean"}
    for name, value in before.items():
        torch.testing.assert_close(computed[name], value)
    computed["clean"].backward()
    head = with_it.added_head("clean")
    assert head is not None
    assert all(part.grad is not None and part.grad.abs().sum() > 0 for part in head.parameters())


def test_a_loss_that_is_no_scalar_is_refused() -> None:
    objective((2,))
    made = config(**ALONE, objective__clean=1)
    with pytest.raises(
        ConfigError, match=r"objective clean: its loss is torch\.Size\(\[2\]\); it must be a scalar tensor"
    ):
        losses(model(made), batch(made), made)


def test_a_loss_that_is_no_tensor_is_refused() -> None:
    @register_objective("nothing")
    @dataclass(frozen=True)
    class Nothing(PretrainObjective):
        """weight of nothing; 0: off"""

        passes = ("video",)

        def loss(self, head: nn.Module | None, step: Step) -> Any:  # noqa: ARG002
            return 0

    made = config(**ALONE, objective__nothing=1)
    with pytest.raises(ConfigError, match="objective nothing: its loss is int; it must be a scalar tensor"):
        losses(model(made), batch(made), made)


def test_a_mask_that_is_none_is_refused() -> None:
    @register_mask("absent", count=lambda shape, mask: 3)  # noqa: ARG005
    def absent(clips: int, shape: Model, mask: Mask, random: Any) -> None:
        pass

    made = config(mask__kind="absent")
    with pytest.raises(ConfigError, match=r"mask\.kind: absent gives NoneType; it must give a VideoMask"):
        draw_video_mask(2, made.model, made.mask, torch.Generator())


@pytest.mark.parametrize("masked", [[[0, 1], [0, 2]], [[0], [1]]])
def test_a_mask_that_does_not_split_the_tubes_is_refused(masked: list[list[int]]) -> None:
    @register_mask("odd", count=lambda shape, mask: 3)  # noqa: ARG005
    def odd(clips: int, shape: Model, mask: Mask, random: Any) -> VideoMask:  # noqa: ARG001
        return VideoMask.hiding(torch.tensor(masked), shape.tubes)

    made = config(mask__kind="odd")
    with pytest.raises(ConfigError, match=r"mask\.kind: odd masks .* it must mask 3 of 64 tubes in each of 2 clips"):
        draw_video_mask(2, made.model, made.mask, torch.Generator())


def test_a_mask_hides_what_it_is_told_to() -> None:
    mask = VideoMask.hiding(torch.tensor([[4, 1], [0, 2]]), 5)
    assert mask.masked.tolist() == [[1, 4], [0, 2]]
    assert mask.visible.tolist() == [[0, 2, 3], [1, 3, 4]]
    with pytest.raises(ConfigError, match="twice"):
        VideoMask.hiding(torch.tensor([[0, 1], [3, 3]]), 5)
