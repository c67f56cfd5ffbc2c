"""A WordPiece vocabulary made from the captions of a corpus. `python -m simvtp.data.vocabulary csv:LIST`.

Writes vocab.txt beside the corpus, where data.tokenizer=corpus finds it; or to --out FILE, for data.tokenizer=FILE.
Only training captions are read. Lower case, as the tokenizer reads them; the same captions give the same file.
"""

from __future__ import annotations

import logging
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tokenizers.implementations import BertWordPieceTokenizer

from simvtp.cli import Parser, add_plugin_argument, main
from simvtp.config.plugins.loading import load_plugins
from simvtp.data.corpora.registry import read_records
from simvtp.data.corpora.spec import CorpusSpec
from simvtp.errors import DataError
from simvtp.runtime.files import write_bytes

log = logging.getLogger(__name__)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = 30_522  # of BERT's vocabulary
ALPHABET = 1000  # most characters; words with others are [UNK]


def vocabulary_of(corpus: str, words: int, least: int) -> list[str]:
    """Pieces of words, the special tokens first, from the training captions of `corpus`.

    words: the most pieces, but single characters are always there. least: how often a piece has to occur.
    Raises DataError where the corpus cannot be read.
    """
    records, _ = read_records(corpus, "pretrain")

    def captions() -> Iterator[str]:
        for record in records:
            yield from record.captions

    backend = BertWordPieceTokenizer(lowercase=True)
    # The library numbers characters within words in the order of a hash table, and breaks ties by these numbers. As
    # special tokens they have an order of their own, and the same captions give the same vocabulary.
    alphabet = _characters(backend, captions())
    fixed = [*SPECIAL, *alphabet, *(f"##{character}" for character in alphabet)]
    backend.train_from_iterator(
        captions(), vocab_size=max(words, len(fixed)), min_frequency=least, special_tokens=fixed,
        initial_alphabet=alphabet, limit_alphabet=len(alphabet), show_progress=False,
    )  # fmt: skip
    ids = backend.get_vocab(with_added_tokens=True)
    return sorted(ids, key=lambda piece: ids[piece])


def _characters(backend: BertWordPieceTokenizer, captions: Iterator[str]) -> list[str]:
    """The most frequent characters of the captions, sorted."""
    counts = Counter[str]()
    for caption in captions:
        counts.update(backend.normalizer.normalize_str(caption))
    frequent = sorted(counts.keys() - set(string.whitespace), key=lambda character: (-counts[character], character))
    return sorted(frequent[:ALPHABET])


def _main() -> None:
    parser = Parser(prog="python -m simvtp.data.vocabulary", description=__doc__)
    parser.add_argument("corpus", help="kind:place, such as webvid:ROOT, msrvtt:ROOT or csv:FILE")
    parser.add_argument("--out", type=Path, metavar="FILE", help="instead of vocab.txt beside the corpus")
    parser.add_argument("--words", type=int, default=WORDS, metavar="N", help=f"most pieces ({WORDS}, as BERT has)")
    parser.add_argument("--least", type=int, default=2, metavar="N", help="times that a piece has to occur (2)")
    add_plugin_argument(parser)
    given = parser.parse_args()
    load_plugins(given.plugins)
    spec = CorpusSpec.parse(given.corpus)
    if given.words <= len(SPECIAL) or given.least < 1:
        raise DataError(f"--words takes a number above {len(SPECIAL)}, --least one from 1")
    if spec.kind == "sprites":
        raise DataError(f"{given.corpus} is embedded, with a vocabulary of its own; name a corpus on the disk")
    out = given.out or spec.folder / "vocab.txt"
    if out.exists():
        raise DataError(f"{out} is there already; remove it, or name another file by --out")
    pieces = vocabulary_of(given.corpus, given.words, given.least)
    write_bytes(out, "".join(f"{piece}\n" for piece in pieces).encode())
    log.info("%d pieces in %s: --set data.tokenizer=%s", len(pieces), out, "corpus" if not given.out else out)


if __name__ == "__main__":
    main(_main)
