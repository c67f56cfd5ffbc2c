"""Where the parts of a trained model are, with the meta device in place of a GPU."""

from pathlib import Path

import pytest
import torch
from torch import nn

from simvtp import SimVTP
from simvtp.inference import retriever as module
from simvtp.inference.timm_models import VideoTower
from simvtp.models.simvtp import SimVTPModel
from simvtp.runtime.timm_compat import timm

META = torch.device("meta")


def devices(part: nn.Module) -> set[str]:
    return {tensor.device.type for tensor in (*part.parameters(), *part.buffers())}


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch, retriever: SimVTP) -> None:  # noqa: ARG001  (made without one)
    monkeypatch.setattr(module, "best_device", lambda: META)
    monkeypatch.setattr(nn.Module, "cpu", lambda self: self.to_empty(device="cpu"))  # of meta there is no copy


@pytest.mark.usefixtures("with_gpu")
def test_a_pretrained_model_and_its_encoder_are_on_the_gpu(retriever: SimVTP) -> None:
    model = SimVTPModel(retriever.config, retriever.tokenizer.size)
    moved = SimVTP(model, retriever.config, retriever.tokenizer, retriever.about)
    assert devices(moved.model) == devices(moved.encoder) == {"meta"}


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.parametrize("pretrained", [True, False])
def test_a_model_of_timm_is_on_the_cpu(retriever: SimVTP, tmp_path: Path, pretrained: bool) -> None:
    if pretrained:
        model = SimVTPModel(retriever.config, retriever.tokenizer.size)
        retriever.model, retriever.about = model, {**retriever.about, "kind": "pretrained"}
    retriever.save_pretrained(tmp_path)
    tower = timm.create_model("simvtp_base_patch16_224", folder=tmp_path, num_classes=3)
    assert isinstance(tower, VideoTower)
    assert devices(tower) == {"cpu"}
