from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from simvtp.data.tokenizer import load_tokenizer, pad_batch
from simvtp.errors import DataError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "run", "##s", "!"]


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(WORDS) + "\n")
    return path


def test_word_pieces(vocabulary: Path):
    tokenizer = load_tokenizer(str(vocabulary), "unused")
    assert (tokenizer.size, tokenizer.pad, tokenizer.cls, tokenizer.sep, tokenizer.mask) == (10, 0, 2, 3, 4)
    assert tokenizer.encode(["A dog RUNS!", "cat"], 24) == [[2, 5, 6, 7, 8, 9, 3], [2, 1, 3]]
    assert tokenizer.encode(["a dog runs!"], 4) == [[2, 5, 6, 3]]
    assert tokenizer.decode([2, 5, 6, 7, 8, 3, 0, 0]) == "a dog runs"


def test_a_folder_and_the_corpus_give_the_same(vocabulary: Path, corpus_name: str, folder: Path):
    assert load_tokenizer(str(vocabulary.parent), "unused").encode(["a dog"], 9) == [[2, 5, 6, 3]]
    words = (folder / "vocab.txt").read_text().split()
    caption = " ".join(words[9:4:-1])  # the first five that are no special tokens
    ids = load_tokenizer("corpus", corpus_name).encode([caption], 24)[0]
    assert ids == [2, 9, 8, 7, 6, 5, 3]


def test_a_folder_that_transformers_wrote(tmp_path: Path, vocabulary: Path):
    from tokenizers.implementations import BertWordPieceTokenizer

    (tmp_path / "saved").mkdir()
    BertWordPieceTokenizer(str(vocabulary), lowercase=True).save(str(tmp_path / "saved" / "tokenizer.json"))
    assert load_tokenizer(str(tmp_path / "saved"), "unused").encode(["A dog"], 9) == [[2, 5, 6, 3]]


def test_bert(shared: Path):
    tokenizer = load_tokenizer(str(shared / "bert-base-uncased-vocab.txt"), "unused")
    assert tokenizer.size == 30522
    assert (tokenizer.pad, tokenizer.cls, tokenizer.sep, tokenizer.mask) == (0, 101, 102, 103)
    assert tokenizer.encode(["Hello, world! Embeddings"], 32) == [
        [101, 7592, 1010, 2088, 999, 7861, 8270, 4667, 2015, 102]
    ]


def test_unusable_tokenizers(tmp_path: Path):
    (tmp_path / "bad.txt").write_text("[PAD]\n[UNK]\nword\n")
    with pytest.raises(DataError, match=r"no line \[CLS\] or \[SEP\] or \[MASK\]"):
        load_tokenizer(str(tmp_path / "bad.txt"), "unused")
    with pytest.raises(DataError, match=r"neither tokenizer\.json nor vocab\.txt"):
        load_tokenizer(str(tmp_path), "unused")
    (tmp_path / "list.csv").write_text("video,caption\n")
    with pytest.raises(DataError, match=r"no vocab\.txt beside csv:"):
        load_tokenizer("corpus", f"csv:{tmp_path}/list.csv")


def test_a_name_that_the_hub_does_not_give():
    program = "from simvtp.data.tokenizer import load_tokenizer; load_tokenizer('no-such-name', 'unused')"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "DataError: data.tokenizer: 'no-such-name' is no file or folder here" in done.stderr


def test_padding():
    padded = pad_batch([[2, 5, 3], [2, 3]], 9)
    assert padded.dtype == torch.int64
    assert padded.tolist() == [[2, 5, 3], [2, 3, 9]]


def test_ids_are_those_of_transformers(tmp_path: Path):
    """Also where a word is a separator of Unicode, empty, has a space behind it, or is there twice."""
    from transformers import BertTokenizer

    words = [*WORDS, "\u2028", "b", "\x85", "c", "\x0c", "d ", "e\r", "", "a", "g"]
    (tmp_path / "vocab.txt").write_bytes(("\n".join(words) + "\n").encode())
    reference = BertTokenizer.from_pretrained(str(tmp_path))
    tokenizer = load_tokenizer(str(tmp_path / "vocab.txt"), "unused")
    text = "a dog b c d e g runs!"
    assert tokenizer.encode([text], 24) == [reference(text)["input_ids"]]
    assert tokenizer.encode(["g b"], 24) == [[2, 19, 11, 3]]
    assert tokenizer.size == 20


def test_a_damaged_tokenizer_file_is_named(tmp_path: Path):
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(DataError, match=r"tokenizer\.json is no tokenizer"):
        load_tokenizer(str(tmp_path), "unused")
