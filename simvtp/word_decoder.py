"""Words told from a caption whose masked words are gone, as tubes are told from the visible ones (M3AE, Geng 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from simvtp.config import Model
from simvtp.embedding import sine_positions
from simvtp.layers import Group, Transformer
from simvtp.masking import DroppedText
from simvtp.products import Linear


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
