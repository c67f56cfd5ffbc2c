"""The pre-training model: embeddings, one encoder for videos and texts, decoders and heads (SimVTP section 3).

Shapes: B clips, V visible and M masked tubes of P pixel values each, L words, D the encoder's width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from simvtp.config.plugins.usage import active
from simvtp.config.schema import Config, Model
from simvtp.models.embeddings import TubeEmbedding, WordEmbedding, gather_rows, sine_positions, tube_positions
from simvtp.models.masking import DroppedText, MaskedBatch
from simvtp.models.transformer import Group, Transformer, initialise
from simvtp.runtime.seeding import seeded

MAX_INVERSE_TEMPERATURE = 100.0  # CLIP's
ADDED = "objective_"  # before the name of a plugin's objective: the attribute that is its head


class Temperature(nn.Module):
    """Learned temperature of the contrastive loss (CLIP, Radford et al. 2021, section 2.5).

    The one parameter is the logarithm of the inverse temperature; the temperature never falls below 1/100.

    start: the temperature before training.
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self.log_inverse = nn.Parameter(torch.tensor([math.log(1 / start)]))  # [1]: FSDP takes no scalar

    def forward(self) -> Tensor:
        """float [1]."""
        return self.log_inverse.clamp(max=math.log(MAX_INVERSE_TEMPERATURE)).neg().exp()


class PixelDecoder(nn.Module):
    """Predicts the pixels of masked tubes from the encoder's visible ones (section 3.3, as in VideoMAE).

    model: the section of the config.
    """

    positions: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.embed = nn.Linear(model.width, model.decoder_width, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(model.decoder_width))
        self.layers = Transformer(model.decoder_width, model.decoder_depth, model.decoder_heads)
        self.head = nn.Linear(model.decoder_width, model.tube_frames * model.patch**2 * 3)
        self.register_buffer("positions", tube_positions(model, model.decoder_width), persistent=False)

    def forward(self, encoded: Tensor, visible: Tensor, masked: Tensor) -> Tensor:
        """Encoded visible tubes [B, V, D], their ids int64 [B, V], ids of masked tubes int64 [B, M] -> [B, M, P]."""
        seen = self.embed(encoded) + self.positions[visible]
        queries = self.mask_token + self.positions[masked]
        x = torch.cat((seen, queries.to(seen.dtype)), dim=1)
        (decoded,) = self.layers([Group(x)])
        pixels: Tensor = self.head(decoded.tokens[:, visible.shape[1] :])
        return pixels


class WordHead(nn.Linear):
    """Predicts words that are masked by [MASK] from the encoder's outputs at their positions."""

    def predict_words(self, joint: Group, batch: MaskedBatch) -> Tensor:
        """joint: [B, V + L, D], visible tubes, then all words -> logits of the masked words, [K, vocabulary]."""
        states = joint.tokens[:, batch.video_mask.visible.shape[1] :].flatten(0, 1)
        logits: Tensor = self(states[batch.text_mask.positions])
        return logits


class WordDecoder(nn.Module):
    """Predicts dropped words from the encoder's visible tubes and visible words; as wide and deep as the pixel decoder.

    SimVTP's figure has a text decoder; its release has none, since there masked words stay in the encoder.

    model: the section of the config. vocabulary: number of words.
    """

    positions: Tensor

    def __init__(self, model: Model, vocabulary: int) -> None:
        super().__init__()
        self.embed = nn.Linear(model.width, model.decoder_width, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(model.decoder_width))
        self.layers = Transformer(model.decoder_width, model.decoder_depth, model.decoder_heads)
        self.head = nn.Linear(model.decoder_width, vocabulary)
        self.register_buffer("positions", sine_positions(model.words, model.decoder_width), persistent=False)

    def forward(self, encoded: Group, text: DroppedText) -> Tensor:
        """encoded: [B, V + visible words, D], visible tubes, then visible words -> logits [K, vocabulary]."""
        assert encoded.present is not None
        tubes, seen = encoded.tokens.shape[1] - text.visible.shape[1], encoded.tokens.shape[1]
        known = self.embed(encoded.tokens)
        known = torch.cat((known[:, :tubes], known[:, tubes:] + self.positions[text.visible]), dim=1)
        queries = (self.mask_token + self.positions[text.masked]).to(known.dtype)
        present = torch.cat((encoded.present, text.masked_present), dim=1)
        (decoded,) = self.layers([Group(torch.cat((known, queries), dim=1), present)])
        logits: Tensor = self.head(decoded.tokens[:, seen:].flatten(0, 1)[text.masked_index])
        return logits

    def predict_words(self, joint: Group, batch: MaskedBatch) -> Tensor:
        """joint: [B, V + visible words, D] -> logits of the masked words, [K, vocabulary]."""
        assert batch.dropped is not None
        logits: Tensor = self(joint, batch.dropped)
        return logits


class SimVTPModel(nn.Module):
    """Embeddings, unified encoder and the heads that the config's objectives need (section 3).

    A head is there only where its objective is on, also that of a plugin. Each part is drawn from a seed of its own, so
    two configs that differ in one objective start the rest from the same weights.

    Weights start as in the release, which keeps VideoMAE's: linear layers Xavier-uniform, the tube embedding at the
    default of `Conv3d`, mask tokens from a normal distribution of standard deviation 0.02, truncated at one.

    config: of the run; its model, mask and objective sections and the seed count.
    vocabulary: number of words of the tokenizer.
    added: with the heads of the objectives of plugins; without, for what only encodes, the plugins need not be loaded.
    """

    def __init__(self, config: Config, vocabulary: int, *, added: bool = True) -> None:
        super().__init__()
        model, objective = config.model, config.objective
        drops_words = config.mask.words == "dropped"
        self.tubes = TubeEmbedding(model)
        self.words = WordEmbedding(vocabulary, model)
        self.encoder = Transformer(model.width, model.depth, model.heads, drop_path=config.pretrain.drop_path)
        self.pixel_decoder = PixelDecoder(model) if objective.mvm else None
        self.word_head = WordHead(model.width, vocabulary) if objective.mlm and not drops_words else None
        self.word_decoder = WordDecoder(model, vocabulary) if objective.mlm and drops_words else None
        self.matching_head = nn.Linear(model.width, 2) if objective.vtm else None
        learned = objective.vtc and objective.learn_temperature
        self.temperature = Temperature(objective.temperature) if learned else None
        for name, (_, made) in (active(config, "objective") if added else {}).items():
            self.add_module(f"{ADDED}{name}", made.head(config))
        for name, part in self.named_children():
            with seeded(config.seed, "weights", name):
                initialise(part)
                if isinstance(part, TubeEmbedding):
                    part.reset_parameters()
                if isinstance(part, PixelDecoder | WordDecoder):
                    nn.init.trunc_normal_(part.mask_token, std=0.02, a=-0.02, b=0.02)

    def encode(self, groups: Sequence[Group]) -> list[Group]:
        """One pass of the encoder over several groups of sequences, each [B, N, D] -> the same shapes."""
        encoded: list[Group] = self.encoder(groups)
        return encoded

    def embed_text(self, batch: MaskedBatch) -> Group:
        """Captions as the encoder reads them: [B, L, D] with [MASK], or [B, visible words, D] without masked words."""
        words = self.words(batch.text_mask.words)
        if batch.dropped is None:
            return Group(words, batch.present)
        return Group(gather_rows(words, batch.dropped.visible), batch.dropped.visible_present)

    def predict_words(self, joint: Group, batch: MaskedBatch) -> Tensor:
        """The joint pass, [B, V + words, D] -> logits of the masked words, [K, vocabulary]; there must be MLM."""
        head = self.word_head if self.word_decoder is None else self.word_decoder
        assert head is not None
        return head.predict_words(joint, batch)

    def added_head(self, name: str) -> nn.Module | None:
        """The head of an objective of a plugin; None: it has none."""
        return self._modules[f"{ADDED}{name}"]

    def no_weight_decay(self) -> set[str]:
        """Parameters without weight decay beside biases, norms and vectors (timm's convention)."""
        return {"pixel_decoder.mask_token", "word_decoder.mask_token"}

    @staticmethod
    def group_matcher(coarse: bool = False) -> dict[str, object]:  # noqa: ARG004  (timm's signature)
        """Layers for timm's layer decay."""
        return {"stem": r"^(?:tubes|words)\.", "blocks": r"^encoder\.blocks\.(\d+)"}
