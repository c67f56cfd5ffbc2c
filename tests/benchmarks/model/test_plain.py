"""What step.py compares: the plain computation has our losses and our gradients."""

import pytest
import torch
from torch import Tensor

from benchmarks.model.plain import plain_losses
from simvtp.models.objectives import MaskedBatch, losses
from simvtp.models.simvtp import SimVTPModel
from tests.simvtp.models import small_batch


def gradients(model: SimVTPModel, actual: dict[str, Tensor]) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    torch.stack(list(actual.values())).sum().backward()  # type: ignore[no-untyped-call]
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("kind", ["tube", "frame", "random"])
def test_losses_and_gradients_are_ours(kind: str) -> None:
    config = small_batch.config(mask__kind=kind)
    model, batch = small_batch.model(config), small_batch.batch(config)
    words = batch.text_mask.words.clone()
    words[0, -1], batch.present[0, -1] = small_batch.PAD, False
    batch = MaskedBatch(batch.video, batch.present, batch.video_mask, batch.text_mask, batch.negatives)
    ours, plain = losses(model, batch, config), plain_losses(model, batch, config)
    assert set(plain) == {"mvm", "mlm", "vtc", "vtm"}
    for name, value in plain.items():
        assert ours[name].item() == pytest.approx(value.item(), rel=1e-5), name
    wanted = gradients(model, plain)
    actual = gradients(model, ours)
    assert actual.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert torch.allclose(actual[name], gradient, rtol=1e-3, atol=1e-5), name
