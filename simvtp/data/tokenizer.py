"""Captions <-> token ids (WordPiece as in BERT, lower case)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tokenizers
import torch
from tokenizers.implementations import BertWordPieceTokenizer
from tokenizers.models import WordPiece
from torch import Tensor

from simvtp.config.file_digests import split
from simvtp.data.corpora import registry
from simvtp.errors import DataError
from simvtp.runtime.files import expanded

SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]")


class Tokenizer:
    """Words <-> ids.

    backend: a tokenizer of the library `tokenizers`; source: what it was read from, for messages. size: ids that there
    are; pad, cls, sep, mask: the ids of BERT's special tokens. Raises DataError if one of these is missing.
    """

    pad: int
    cls: int
    sep: int
    mask: int
    size: int

    def __init__(self, backend: tokenizers.Tokenizer, source: str) -> None:
        self._backend = backend
        vocabulary = backend.get_vocab(with_added_tokens=True)
        lacking = [word for word in SPECIAL if word not in vocabulary]
        if lacking:
            raise DataError(
                f"tokenizer {source}: no {' or '.join(lacking)} in its vocabulary; it takes a WordPiece one as of BERT"
            )
        self.pad, self.cls, self.sep, self.mask = (vocabulary[word] for word in SPECIAL[:4])
        self.size = max(vocabulary.values()) + 1  # a vocab.txt with a word twice has fewer words than ids

    def encode(self, captions: Sequence[str], longest: int) -> list[list[int]]:
        """Ids of each caption: [CLS] ... [SEP], at most `longest` (at least 3), not padded."""
        self._backend.enable_truncation(longest)
        self._backend.no_padding()
        return [found.ids for found in self._backend.encode_batch(list(captions))]

    def unknown(self, text: str) -> list[str]:
        """The words of a text that are not in the vocabulary, in their order."""
        self._backend.no_truncation()
        found = self._backend.encode(text)
        pieces = zip(found.tokens, found.offsets, strict=True)
        return [text[first:last] for piece, (first, last) in pieces if piece == "[UNK]"]

    def save(self, path: Path) -> None:
        """Write it as a tokenizer.json, which `load_tokenizer` reads from its folder."""
        self._backend.no_truncation()
        self._backend.no_padding()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._backend.save(str(path))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each id as it stands in the vocabulary."""
        return [str(self._backend.id_to_token(number)) for number in ids]

    def decode(self, ids: Sequence[int]) -> str:
        """The words of ids, special tokens left out."""
        return str(self._backend.decode(list(ids), skip_special_tokens=True)).replace(" :", ":")


def load_tokenizer(name: str, corpus_spec: str) -> Tokenizer:
    """`name`: "corpus" (the vocab.txt beside the corpus), a vocab.txt, a folder, or a name on the hub.

    Raises DataError if there is no such thing.
    """
    name = split(name)[0]  # without a digest (simvtp/data/resolve.py)
    if name == "corpus":
        path = registry.vocabulary(corpus_spec)
        if path is None:
            raise DataError(
                f"data.tokenizer: corpus, but there is no vocab.txt beside {corpus_spec}; python -m "
                "simvtp.data.vocabulary makes one of its captions; or name another, such as bert-base-uncased"
            )
        return _from_vocabulary(path)
    path = expanded(name)
    if path.is_dir():
        if (path / "tokenizer.json").is_file():
            return _from_json(path / "tokenizer.json")
        if not (path / "vocab.txt").is_file():
            raise DataError(f"data.tokenizer: the folder {path} holds neither tokenizer.json nor vocab.txt")
        return _from_vocabulary(path / "vocab.txt")
    return _from_vocabulary(path) if path.is_file() else _from_hub(name)


def _from_json(path: Path) -> Tokenizer:
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # all that the Rust library raises
        raise DataError(f"data.tokenizer: {path} is no tokenizer of the library tokenizers ({error})") from error
    return Tokenizer(backend, str(path.parent))


def _from_vocabulary(path: Path) -> Tokenizer:
    try:
        words = WordPiece.read_file(str(path))
    except Exception as error:  # all that the Rust library raises
        raise DataError(f"data.tokenizer: {path} cannot be read as a list of words ({error})") from error
    lacking = [word for word in SPECIAL if word not in words]
    if lacking:
        raise DataError(f"data.tokenizer: {path} has no line {' or '.join(lacking)}; it must be a vocab.txt as of BERT")
    return Tokenizer(BertWordPieceTokenizer(vocab=words, lowercase=True)._tokenizer, str(path))


def _from_hub(name: str) -> Tokenizer:
    # Imported here: it takes seconds, and the embedded corpus does not need it.
    from transformers import AutoTokenizer

    try:
        found = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise DataError(
            f"data.tokenizer: {name!r} is no file or folder here, and the hub does not give it ({_first_line(error)}). "
            "Without a network, download it where there is one and give its folder or vocab.txt"
        ) from error
    if not hasattr(found, "backend_tokenizer"):
        raise DataError(f"data.tokenizer: {name} has no fast tokenizer; take one that is WordPiece as of BERT")
    return Tokenizer(found.backend_tokenizer, name)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def pad_batch(ids: Sequence[Sequence[int]], pad: int) -> Tensor:
    """int64 [B, L], filled with `pad` to the longest of the batch."""
    padded = np.full((len(ids), max(map(len, ids), default=0)), pad, np.int64)
    for row, known in zip(padded, ids, strict=True):
        row[: len(known)] = known
    return torch.from_numpy(padded)
