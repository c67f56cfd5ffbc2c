"""The video and text encoders of fine-tuning and retrieval."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.nn import functional

from simvtp.config.formats import steps_of
from simvtp.config.schema import Config
from simvtp.models.embeddings import cut_tubes
from simvtp.models.simvtp import SimVTPModel, Temperature
from simvtp.models.transformer import Group, Transformer


class DualEncoder(nn.Module):
    """A video and a text encoder that both start as the pre-trained one; tokens are mean-pooled, then normed.

    pretrained: whose tube and word embeddings it takes over, and whose encoder it copies.
    config: of the run; its model, objective and finetune sections count.
    """

    def __init__(self, pretrained: SimVTPModel, config: Config) -> None:
        super().__init__()
        self.shape = config.model
        self.tubes, self.words = pretrained.tubes, pretrained.words
        self.video_encoder = _tower(pretrained.encoder, config)
        self.text_encoder = _tower(pretrained.encoder, config)
        self.video_norm, self.text_norm = (_pooled_norm(pretrained, config) for _ in range(2))
        self.temperature = _temperature(pretrained, config)

    def encode_video(self, video: Tensor) -> Tensor:
        """uint8 [B, T, H, W, 3] -> unit vectors [B, D]; every tube is seen."""
        return functional.normalize(self.video_features(video))

    def encode_text(self, words: Tensor, present: Tensor) -> Tensor:
        """int64 [B, L] and bool [B, L], False at [PAD] -> unit vectors [B, D]."""
        return functional.normalize(self.text_features(words, present))

    def video_features(self, video: Tensor) -> Tensor:
        """uint8 [B, T, H, W, 3] -> features of any length, float [B, D]."""
        (encoded,) = self.video_encoder([Group(self.tubes(cut_tubes(video, self.shape)))])
        features: Tensor = self.video_norm(encoded.mean()).float()
        return features

    def text_features(self, words: Tensor, present: Tensor) -> Tensor:
        """int64 [B, L] and bool [B, L], False at [PAD] -> features of any length, float [B, D]."""
        (encoded,) = self.text_encoder([Group(self.words(words), present)])
        features: Tensor = self.text_norm(encoded.mean(self.shape.text_mean)).float()
        return features

    def no_weight_decay(self) -> set[str]:
        return set()

    @staticmethod
    def group_matcher(coarse: bool = False) -> dict[str, object]:  # noqa: ARG004  (timm's signature)
        """Layers for timm's layer decay: the same depth in both encoders."""
        return {
            "stem": r"^(?:tubes|words)\.",
            "blocks": r"^(?:video_|text_)?encoder\.blocks\.(\d+)",
        }


class SharedEncoder(DualEncoder):
    """One encoder, and one norm, for videos and texts."""

    def __init__(self, pretrained: SimVTPModel, config: Config) -> None:
        nn.Module.__init__(self)
        self.shape = config.model
        self.tubes, self.words = pretrained.tubes, pretrained.words
        self.encoder, self.norm = _tower(pretrained.encoder, config), _pooled_norm(pretrained, config)
        self.temperature = _temperature(pretrained, config)

    @property
    def video_encoder(self) -> Transformer:  # type: ignore[override]
        return self.encoder

    @property
    def text_encoder(self) -> Transformer:  # type: ignore[override]
        return self.encoder

    @property
    def video_norm(self) -> nn.Module:  # type: ignore[override]
        return self.norm

    @property
    def text_norm(self) -> nn.Module:  # type: ignore[override]
        return self.norm


class ZeroShot(SharedEncoder):
    """The pre-trained encoder as it is: tokens are normed, then pooled, as for the contrastive loss of pre-training."""

    def __init__(self, pretrained: SimVTPModel, config: Config) -> None:
        super().__init__(pretrained, config)
        self.norm = copy.deepcopy(pretrained.encoder.norm)

    def video_features(self, video: Tensor) -> Tensor:
        """uint8 [B, T, H, W, 3] -> float [B, D]."""
        (encoded,) = self.encoder([Group(self.tubes(cut_tubes(video, self.shape)))])
        return self._pooled(encoded)

    def text_features(self, words: Tensor, present: Tensor) -> Tensor:
        """int64 [B, L] and bool [B, L], False at [PAD] -> float [B, D]."""
        (encoded,) = self.encoder([Group(self.words(words), present)])
        return self._pooled(encoded)

    def _pooled(self, encoded: Group) -> Tensor:
        return Group(self.norm(encoded.tokens), encoded.present).mean(self.shape.text_mean).float()


def make_dual_encoder(pretrained: SimVTPModel, config: Config) -> DualEncoder:
    """The encoders of retrieval, started from a pre-trained model; unchanged where the config has no fine-tuning."""
    if steps_of(config.finetune.length, 1_000_000) == 0:
        return ZeroShot(pretrained, config)
    return SharedEncoder(pretrained, config) if config.model.towers == "shared" else DualEncoder(pretrained, config)


def _pooled_norm(pretrained: SimVTPModel, config: Config) -> nn.Module:
    """The norm that follows the mean; in pre-training it precedes the mean."""
    if config.model.pooled_norm == "fresh":
        return nn.LayerNorm(config.model.width, eps=1e-6)
    return copy.deepcopy(pretrained.encoder.norm)


def _temperature(pretrained: SimVTPModel, config: Config) -> Temperature | None:
    """The learned temperature, from pre-training or, where that has none, from its start; None if it is fixed."""
    if not config.objective.learn_temperature:
        return None
    return copy.deepcopy(pretrained.temperature) or Temperature(config.objective.temperature)


def _tower(encoder: Transformer, config: Config) -> Transformer:
    model = config.model
    tower = Transformer(model.width, model.depth, model.heads, drop_path=config.finetune.drop_path, final_norm=False)
    tower.blocks.load_state_dict(encoder.blocks.state_dict())
    return tower
