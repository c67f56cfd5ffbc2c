"""The video encoder for timm.

`import simvtp.inference.timm_models`, then `timm.create_model("simvtp_base_patch16_224")`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from simvtp.config.presets import preset
from simvtp.errors import ConfigError
from simvtp.inference.retriever import SimVTP
from simvtp.models.dual_encoder import DualEncoder, ZeroShot
from simvtp.models.embeddings import cut_tubes
from simvtp.models.simvtp import SimVTPModel
from simvtp.models.transformer import Group, initialise
from simvtp.runtime.constants import IMAGENET_MEAN, IMAGENET_STD
from simvtp.runtime.timm_compat import register_model


class VideoTower(nn.Module):
    """Video encoder, mean over its tubes, norm, and a linear classifier unless num_classes is 0."""

    def __init__(self, encoder: DualEncoder, num_classes: int) -> None:
        super().__init__()
        self.shape, self.num_features = encoder.shape, encoder.shape.width
        self.head_hidden_size = self.embed_dim = self.num_features
        self.tubes, self.encoder, self.norm = encoder.tubes, encoder.video_encoder, encoder.video_norm
        self.default_cfg = {"input_size": (3, self.shape.frames, self.shape.size, self.shape.size),
                            "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "num_classes": num_classes,
                            "classifier": "head"}  # fmt: skip
        self.reset_classifier(num_classes)

    def forward_features(self, video: Tensor) -> Tensor:
        """float [B, 3, T, H, W], normalised by ImageNet's mean and deviation -> tokens of its tubes [B, N, D]."""
        mean, std = (video.new_tensor(value).view(3, 1, 1, 1) for value in (IMAGENET_MEAN, IMAGENET_STD))
        pixels = (video * std + mean) * 255  # the embedding takes bytes' values, and normalises within its product
        tubes = cut_tubes(pixels.permute(0, 2, 3, 4, 1).contiguous(), self.shape)
        (encoded,) = self.encoder([Group(self.tubes(tubes))])
        return encoded.tokens

    def forward_head(self, tokens: Tensor, pre_logits: bool = False) -> Tensor:
        """[B, N, D] -> logits [B, num_classes], or features [B, D] if there is no classifier or `pre_logits`."""
        pooled: Tensor = self.norm(tokens.mean(dim=1))
        return pooled if pre_logits else self.head(pooled)

    def forward(self, video: Tensor) -> Tensor:
        """float [B, 3, T, H, W] -> logits [B, num_classes], or features [B, D]."""
        return self.forward_head(self.forward_features(video))

    def get_classifier(self) -> nn.Module:
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Another linear classifier, drawn anew; 0: none."""
        self.num_classes = num_classes
        self.head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()
        initialise(self.head)

    def no_weight_decay(self) -> set[str]:
        return set()

    @staticmethod
    def group_matcher(coarse: bool = False) -> dict[str, object]:
        """Layers for timm's layer decay: the embedding, then each layer; coarse: all layers as one."""
        return {"stem": r"^tubes\.", "blocks": r"^encoder\.blocks" if coarse else r"^encoder\.blocks\.(\d+)"}


def _tower(name: str, pretrained: bool, folder: str | Path | None, num_classes: int) -> VideoTower:
    if folder is not None:  # on the CPU, as all models of timm are made
        retriever = SimVTP.from_pretrained(folder)
        if isinstance(retriever.model, SimVTPModel):
            return VideoTower(DualEncoder(retriever.model.cpu(), retriever.config), num_classes)
        if isinstance(retriever.encoder, ZeroShot):
            raise ConfigError(f"{folder} holds an encoder without fine-tuning; publish its pre-training stage instead")
        return VideoTower(retriever.encoder.cpu(), num_classes)
    if pretrained:
        raise ConfigError("no weights are published with this package; name a model folder with folder=...")
    config = preset(name)
    with torch.random.fork_rng(devices=[]):
        return VideoTower(DualEncoder(SimVTPModel(config, 5), config), num_classes)


@register_model
def simvtp_base_patch16_224(
    pretrained: bool = False,
    folder: str | Path | None = None,
    num_classes: int = 0,
    pretrained_cfg: Any = None,  # noqa: ARG001  (timm passes these three to every model)
    pretrained_cfg_overlay: Any = None,  # noqa: ARG001
    cache_dir: Any = None,  # noqa: ARG001
) -> VideoTower:
    """The paper's video encoder, ViT-B/16 on 16 frames of 224 x 224; `folder`: a model folder to take it from."""
    return _tower("base", pretrained, folder, num_classes)
