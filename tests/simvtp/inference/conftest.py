"""A small model with random weights."""

from pathlib import Path

import pytest

from simvtp import SimVTP
from simvtp.config.schema import flatten, override
from simvtp.data.tokenizer import load_tokenizer
from simvtp.inference.retriever import FORMAT
from simvtp.models.build import fresh_model
from simvtp.models.dual_encoder import DualEncoder
from tests.small_config import CONFIG

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "star", "moves", "left", "a")
CHANGES = {"model.frames": 4, "model.size": 16, "model.width": 16, "evaluate.segments": 2, "model.positions": "2x2x2"}


@pytest.fixture
def retriever(tmp_path: Path) -> SimVTP:
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(WORDS))
    config, tokenizer = override(CONFIG, CHANGES), load_tokenizer(str(vocabulary), "")
    about = {"format": FORMAT, "kind": "finetuned", "preset": "tiny", "id": "x", "metrics": {},
             "config": flatten(config)}  # fmt: skip
    return SimVTP(DualEncoder(fresh_model(config, tokenizer), config), config, tokenizer, about)
