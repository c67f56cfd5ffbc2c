"""bf16 weights with fp32 masters: small updates add up, losses are near those of fp32, a resume is exact."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from simvtp.config.experiment import Experiment
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.errors import ConfigError
from simvtp.models.transformer import Block
from simvtp.pretrain import pretrain
from simvtp.run import run
from simvtp.runtime.signals import Interrupted, stoppable
from simvtp.training.parallelize import WrappedModel
from tests.simvtp.processes import together
from tests.simvtp.training.test_trainer import interrupt_after

CPU = torch.device("cpu")


def trained(changes: dict[str, str], results: Path) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    path = pretrain(Experiment(override(preset("tiny"), changes), "tiny", results))
    assert path is not None
    return safetensors.torch.load_file(path), json.loads((path.parent / "stage.json").read_text())["losses"]


def test_updates_below_the_resolution_of_bf16_add_up() -> None:
    """Next to 1, bf16 has steps of 1/128: eight updates of 1/1024 are one, of which the copy sees none before."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    wrapped = WrappedModel(model, model, preset("tiny").machine, CPU, 0.0, None, pure_bf16=True)
    optimizer, seen = torch.optim.SGD(model.parameters(), lr=1 / 1024), list[float]()
    for _ in range(9):
        out = wrapped.forward(torch.ones(1, 1, dtype=torch.bfloat16))
        assert out.dtype == torch.bfloat16
        seen.append(out.item())
        out.sum().neg().backward()  # a gradient of -1
        wrapped.before_step()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        wrapped.after_step()
    assert seen == [1.0] * 5 + [1 + 1 / 128] * 4  # rounded to the nearest, a tie to the even 1.0
    assert wrapped.state(optimizer)["model"]["weight"].item() == 1 + 9 / 1024


def test_losses_are_near_those_of_fp32_and_the_weights_are_the_masters(
    quick: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    types: set[torch.dtype] = set()
    inner = Block.forward

    def forward(self: Block, x: torch.Tensor, *rest: object) -> torch.Tensor:
        types.add(x.dtype)
        return inner(self, x, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Block, "forward", forward)
    weights, losses = trained({**quick, "pretrain.precision": "bf16-pure"}, tmp_path)
    assert types == {torch.bfloat16}
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert sum(not torch.equal(tensor, tensor.bfloat16().float()) for tensor in weights.values()) > 20
    wanted, right = trained(quick, tmp_path)
    assert losses == pytest.approx(right, rel=0.02)
    for name, tensor in wanted.items():
        if tensor.dim() > 1:
            assert (weights[name] - tensor).norm() <= 0.05 * tensor.norm(), name


def test_an_interrupted_stage_gives_bit_identical_weights(
    quick: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {**quick, "pretrain.precision": "bf16-pure", "pretrain.ema": "0.9", "pretrain.accumulate": "2"}
    whole, _ = trained(changes, tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt_after(3, patch)
        with stoppable(), pytest.raises(Interrupted, match="step 3 of"):
            trained(changes, tmp_path / "cut")
    cut, _ = trained(changes, tmp_path / "cut")
    assert cut.keys() == whole.keys()
    assert all(torch.equal(cut[name], tensor) for name, tensor in whole.items())


def test_a_run_is_fine_tuned_and_tested(quick: dict[str, str], tmp_path: Path) -> None:
    changes = {**quick, "pretrain.length": "0 steps", "finetune.length": "1 epochs", "finetune.precision": "bf16-pure",
               "objective.learn_temperature": "on"}  # fmt: skip
    result = json.loads(run(Experiment(override(preset("tiny"), changes), "tiny", tmp_path)).read_text())
    assert result["metrics"]["test"]["text_to_video"]["gallery"] == 16


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(quick: dict[str, str], tmp_path: Path) -> None:
    changes = {**quick, "pretrain.precision": "bf16-pure", "pretrain.length": "4 steps"}
    wanted, right = trained(changes, tmp_path / "one")
    for weights, losses in together(2, tmp_path, trained, changes, tmp_path / "two"):
        assert losses == pytest.approx(right, rel=0.01)
        for name, tensor in wanted.items():
            if tensor.dim() > 1:
                assert (weights[name] - tensor).norm() <= 0.02 * tensor.norm(), name


def test_weights_of_bf16_are_not_shared_out() -> None:
    with pytest.raises(ConfigError, match=r"finetune\.precision.*machine\.shard"):
        override(preset("tiny"), {"finetune.precision": "bf16-pure", "machine.shard": "on"})
