"""A step waits for no device, has no shape that depends on data, and compiles once for all mask ratios."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.utils import counters

from simvtp.finetune import Finetuning
from simvtp.models.dual_encoder import make_dual_encoder
from simvtp.models.objectives import losses
from simvtp.models.transformer import Block
from tests.simvtp.models import small_batch

META = torch.device("meta")
AXES: list[dict[str, Any]] = [
    {}, {"mask__words": "dropped"}, {"objective__contrast": "clean"}, {"objective__learn_temperature": True},
    {"mask__decoded": 0.5}, {"objective__negatives": "hard"}, {"mask__kind": "frame"}, {"mask__kind": "random"},
    {"mask__kind": "random", "mask__decoded": 0.5, "mask__words": "dropped"}, {"pretrain__group": 2},
]  # fmt: skip


def moved(part: Any) -> Any:
    """The same with every tensor on a device that has shapes but no values."""
    if isinstance(part, Tensor):
        return part.to(META)
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **{entry.name: moved(getattr(part, entry.name)) for entry in fields(part)})
    return part


@pytest.mark.parametrize("changes", AXES, ids=str)
def test_losses_and_gradients_need_no_value(changes: dict[str, Any]) -> None:
    config = small_batch.config(**changes)
    model = small_batch.model(config).to(META)
    computed = losses(model, moved(small_batch.batch(config)), config)
    torch.stack(list(computed.values())).sum().backward()  # type: ignore[no-untyped-call]
    assert {name for name, parameter in model.named_parameters() if parameter.grad is None} == set()


@pytest.mark.parametrize("changes", [{}, {"model__towers": "shared"}, {"objective__learn_temperature": True}], ids=str)
def test_fine_tuning_needs_no_value(changes: dict[str, Any]) -> None:
    config = small_batch.config(**changes)
    pair, batch = make_dual_encoder(small_batch.model(config), config), moved(small_batch.batch(config))
    found = Finetuning(pair.to(META), config)(batch.video, batch.text_mask.words, batch.present)
    found["vtc"].backward()
    assert {name for name, parameter in pair.named_parameters() if parameter.grad is None} == set()


@pytest.mark.slow
def test_compiled_layers_have_no_graph_break_and_recompile_no_more_after_the_second_ratio() -> None:
    torch._dynamo.reset()
    counters.clear()
    model = small_batch.model(small_batch.config())
    for layer in model.modules():
        if isinstance(layer, Block):
            layer.compile(backend="aot_eager")

    def graphs(ratio: float) -> int:
        config = small_batch.config(mask__video=ratio)
        torch.stack(list(losses(model, small_batch.batch(config), config).values())).sum().backward()  # type: ignore[no-untyped-call]
        return counters["stats"]["unique_graphs"]

    after = [graphs(ratio) for ratio in (0.5, 0.9, 0.75, 0.25, 0.95, 0.0)]
    assert not counters["graph_break"]
    assert after == [2, 3, 3, 3, 3, 3]  # encoder, decoder; the encoder once more, with lengths left open
