"""The temperature of the contrast where it is learned (CLIP, Radford et al. 2021, section 2.5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from simvtp.config.schema import Config, Model
from simvtp.models.embeddings import TubeEmbedding, WordEmbedding, gather, sine_positions, tube_positions, tubes_of
from simvtp.models.linear import Linear
from simvtp.models.masking import DroppedText
from simvtp.models.transformer import Group, Transformer, initialise
from simvtp.runtime.seeding import seeded

if TYPE_CHECKING:
    from simvtp.inference.retriever import Retriever

SHARPEST = 100.0  # CLIP's limit of the inverse


class Temperature(nn.Module):
    """The logarithm of the inverse temperature as the one parameter; it never falls below 1/100."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.log_inverse = nn.Parameter(torch.tensor([math.log(1 / start)]))  # [1]: FSDP takes no scalar

    def forward(self) -> Tensor:
        """float [1]."""
        return self.log_inverse.clamp(max=math.log(SHARPEST)).neg().exp()


class WordDecoder(nn.Module):
    """Predicts masked words from the encoder's visible tubes and kept words; as wide and deep as the pixel decoder.

    SimVTP's figure draws a text decoder; its release has none, since there masked words stay in the encoder.
    """

    positions: Tensor

    def __init__(self, model: Model, vocabulary: int) -> None:
        super().__init__()
        self.embed = Linear(model.width, model.decoder_width, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(model.decoder_width))
        self.layers = Transformer(model.decoder_width, model.decoder_depth, model.decoder_heads)
        self.head = Linear(model.decoder_width, vocabulary)
        self.register_buffer("positions", sine_positions(model.words, model.decoder_width), persistent=False)

    def forward(self, encoded: Group, text: DroppedText) -> Tensor:
        """encoded: [B, V + K, D], visible tubes, then kept words -> logits [masked words, vocabulary]."""
        assert encoded.present is not None
        kept, seen = text.kept.shape[1], encoded.tokens.shape[1]
        known = self.embed(encoded.tokens)
        known = torch.cat((known[:, : seen - kept], known[:, seen - kept :] + self.positions[text.kept]), dim=1)
        asked = (self.mask_token + self.positions[text.asked]).to(known.dtype)
        present = torch.cat((encoded.present, text.asked_present), dim=1)
        (decoded,) = self.layers([Group(torch.cat((known, asked), dim=1), present)])
        return self.head(decoded.tokens[:, seen:].flatten(0, 1)[text.places])


__all__ = ["PixelDecoder", "SimVTP", "gather", "tubes_of"]


class PixelDecoder(nn.Module):
    """Predicts the pixels of masked tubes from the encoder's visible ones."""

    positions: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.embed = Linear(model.width, model.decoder_width, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(model.decoder_width))
        self.layers = Transformer(model.decoder_width, model.decoder_depth, model.decoder_heads)
        self.head = Linear(model.decoder_width, model.tube_frames * model.patch**2 * 3)
        self.register_buffer("positions", tube_positions(model, model.decoder_width), persistent=False)

    def forward(self, encoded: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        """encoded: [B, V, D] at int64 [B, V] -> pixels [B, M, P] at int64 [B, M]; the head sees masked tubes only."""
        seen = self.embed(encoded) + self.positions[visible]
        asked = self.mask_token + self.positions[masked]
        x = torch.cat((seen, asked.to(seen.dtype)), dim=1)
        (decoded,) = self.layers([Group(x)])
        return self.head(decoded.tokens[:, visible.shape[1] :])


class SimVTP(nn.Module):
    """Embeddings, unified encoder and the heads that the config's objectives need.

    A head is there only where its objective is on. Each part is drawn from its own seed, so that two configs that
    differ in one objective start the rest from the same weights.
    """

    def __init__(self, config: Config, vocabulary: int) -> None:
        super().__init__()
        model, objective = config.model, config.objective
        self.tubes = TubeEmbedding(model)
        self.words = WordEmbedding(vocabulary, model)
        self.encoder = Transformer(model.width, model.depth, model.heads, drop_path=config.pretrain.drop_path)
        self.pixel_decoder = PixelDecoder(model) if objective.mvm else None
        kept, dropped = (bool(objective.mlm) and config.mask.words == words for words in ("kept", "dropped"))
        self.word_head = Linear(model.width, vocabulary) if kept else None
        self.word_decoder = WordDecoder(model, vocabulary) if dropped else None
        self.matching_head = nn.Linear(model.width, 2) if objective.vtm else None
        learned = objective.vtc and objective.learn_temperature
        self.temperature = Temperature(objective.temperature) if learned else None
        for name, part in self.named_children():
            with seeded(config.seed, "weights", name):
                initialise(part)
                if isinstance(part, PixelDecoder | WordDecoder):
                    nn.init.trunc_normal_(part.mask_token, std=0.02)

    def encode(self, groups: Sequence[Group]) -> list[Group]:
        """One pass of the encoder over several groups of sequences."""
        return self.encoder(groups)

    @staticmethod
    def from_pretrained(folder: str | Path) -> Retriever:
        """A model folder ready for use: encode_video(paths), encode_text(strings), save_pretrained(folder)."""
        from simvtp.inference.retriever import Retriever  # it is made of this module

        return Retriever.from_pretrained(folder)

    def no_weight_decay(self) -> set[str]:
        return {"pixel_decoder.mask_token", "word_decoder.mask_token"}

    @staticmethod
    def group_matcher(coarse: bool = False) -> dict[str, object]:  # noqa: ARG004  (timm's signature)
        """Layers for timm's layer decay."""
        return {"stem": r"^(?:tubes|words)\.", "blocks": r"^encoder\.blocks\.(\d+)"}
