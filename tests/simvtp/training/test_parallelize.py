"""Wrappers change the cost of a model, not what it learns; averaged weights are what a stage gives."""

import functools
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn
from torch._dynamo.utils import counters

from simvtp.config.experiment import Experiment
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.data.from_config import tokenizer_of
from simvtp.errors import ConfigError
from simvtp.models.build import fresh_model
from simvtp.models.objectives import Pretraining
from simvtp.models.simvtp import SimVTPModel
from simvtp.models.transformer import Group, Transformer
from simvtp.pretrain import pretrain
from simvtp.training.parallelize import Average, WrappedModel, wrap_model

MACHINE = preset("tiny").machine
CPU = torch.device("cpu")


def weights(changes: dict[str, str], results: Path) -> dict[str, torch.Tensor]:
    path = pretrain(Experiment(override(preset("tiny"), changes), "tiny", results))
    assert path is not None
    return safetensors.torch.load_file(path)


def test_recomputed_layers_are_bit_identical_with_dropped_paths(quick: dict[str, str], tmp_path: Path) -> None:
    changes = {**quick, "pretrain.drop_path": "0.3", "pretrain.length": "4 steps"}
    plain = weights(changes, tmp_path / "plain")
    again = weights({**changes, "machine.checkpointing": "on"}, tmp_path / "again")
    assert again.keys() == plain.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in plain.items())


def test_layers_are_computed_again_in_the_backward_pass() -> None:
    encoder, calls = Transformer(8, 3, 2), list[int]()
    for block in encoder.blocks:
        block.attn.register_forward_hook(lambda *_: calls.append(1))
    wrap_model(encoder, replace(MACHINE, checkpointing=True), CPU)
    (out,) = encoder([Group(torch.ones(2, 3, 8))])
    assert len(calls) == 3
    out.tokens.sum().backward()
    assert len(calls) == 6


@pytest.mark.parametrize("machine", [{"compile": True}, {"compile": True, "checkpointing": True}], ids=str)
def test_layers_that_drop_paths_are_one_graph(machine: dict[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """With layers that are computed again too, which torch.compile leaves alone where it is the outer one."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    torch._dynamo.reset()
    counters.clear()
    encoder = Transformer(8, 4, 2, drop_path=0.5).train()
    wrap_model(encoder, replace(MACHINE, **machine), CPU)
    (out,) = encoder([Group(torch.ones(2, 3, 8))])
    out.tokens.sum().backward()
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == 2  # the first layer, which drops nothing, and the others


def test_variable_length_attention_is_for_encoders_on_a_gpu() -> None:
    config = override(preset("tiny"), {"mask.words": "dropped", "machine.varlen_attention": "on"})
    model = SimVTPModel(config, 40)
    with pytest.raises(ConfigError, match="takes a GPU"):
        wrap_model(Pretraining(model, config), config.machine, CPU)
    wrap_model(Pretraining(model, config), config.machine, torch.device("cuda"))
    chosen = {name for name, part in model.named_modules() if isinstance(part, Transformer) and part.varlen}
    assert chosen == {"encoder"}  # not the decoders: that of words has padding in the middle of a row


@pytest.mark.slow
def test_compiled_layers_learn_the_same(quick: dict[str, str], tmp_path: Path) -> None:
    off = {f"objective.{name}": "off" for name in ("mvm", "vtc", "vtm")}
    changes = {**quick, **off, "pretrain.length": "3 steps", "model.depth": "1"}
    plain = weights(changes, tmp_path / "plain")
    compiled = weights({**changes, "machine.compile": "on"}, tmp_path / "compiled")
    for name, tensor in plain.items():
        assert (compiled[name] - tensor).norm() <= 2e-4 * tensor.norm(), name


def test_nothing_is_wrapped_in_one_process_with_every_option_off() -> None:
    model = nn.Linear(2, 1)
    wrapped = WrappedModel(model, model, MACHINE, CPU, 0.0, None)
    assert wrapped.forward is wrapped.export_model() is model


def test_an_average_is_exponential_literal() -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(8.0)
    average = Average(model, 0.75, None)
    for value in (4.0, 0.0):
        with torch.no_grad():
            model.weight.fill_(value)
        average.update()
    assert average.named()["weight"].item() == 5.25  # 8 -> 7 -> 5.25
    again = Average(model, 0.75, {"average": average.named()})
    assert again.named()["weight"].item() == 5.25


def test_the_stage_gives_the_average_of_its_weights(quick: dict[str, str], tmp_path: Path) -> None:
    one_step = {**quick, "pretrain.length": "1 steps"}
    start = fresh_model(override(preset("tiny"), one_step), tokenizer_of(override(preset("tiny"), one_step)))
    trained = weights(one_step, tmp_path)
    averaged = weights({**one_step, "pretrain.ema": "0.75"}, tmp_path)
    assert len(list((tmp_path / "pretrained").iterdir())) == 2  # it changes the outcome, hence the id
    for name, before in start.state_dict().items():
        assert torch.allclose(averaged[name], 0.75 * before + 0.25 * trained[name], atol=1e-7), name
