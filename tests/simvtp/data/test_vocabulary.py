"""A vocabulary made from captions: as the tokenizer reads it, and the same from the same captions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simvtp.data.tokenizer import load_tokenizer
from simvtp.data.vocabulary import vocabulary_of

CAPTIONS = ["A red star moves left", "the red stars moved", "a blue star, moving", "ein größerer Stern"] * 3


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    rows = {f"{number}.mp4": caption for number, caption in enumerate(CAPTIONS)}
    (tmp_path / "list.json").write_text(json.dumps(rows))
    return f"json:{tmp_path}/list.json"


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simvtp.data.vocabulary", *words], capture_output=True, text=True, check=False
    )


def test_captions_are_made_of_it(corpus: str, tmp_path: Path) -> None:
    done = command(corpus)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert lines[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert len(set(lines)) == len(lines)
    assert {"star", "red", "a", "##s", ","} <= set(lines)
    tokenizer = load_tokenizer("corpus", corpus)
    for caption in CAPTIONS:
        assert tokenizer.unknown(caption) == []
        assert "[UNK]" not in tokenizer.pieces(tokenizer.encode([caption], 64)[0])
    assert tokenizer.unknown("star 漢") == ["漢"]
    again = command(corpus)
    assert (again.returncode, "is there already" in again.stderr) == (2, True)


def test_the_same_captions_give_the_same_file(corpus: str, tmp_path: Path) -> None:
    for number in range(3):
        done = command(corpus, "--out", str(tmp_path / f"{number}.txt"), "--words", "60")
        assert done.returncode == 0, done.stderr
    content = {(tmp_path / f"{number}.txt").read_bytes() for number in range(3)}
    assert len(content) == 1
    assert len(content.pop().splitlines()) == 60


def test_no_more_pieces_than_asked_for_but_every_character(corpus: str) -> None:
    small, large = vocabulary_of(corpus, 6, 1), vocabulary_of(corpus, 1000, 1)
    characters = {character for caption in CAPTIONS for character in caption.lower() if character != " "}
    characters = {"o" if character == "ö" else character for character in characters}
    assert set(small[5:]) == characters | {f"##{character}" for character in characters}
    assert set(small) < set(large)
    assert os.linesep not in "".join(large)


def test_the_corpus_of_a_plugin(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "clip.txt").write_text("\n".join([*CAPTIONS, ""]), encoding="utf-8")
    (tmp_path / "train" / "clip.mp4").touch()
    plugin = Path(__file__).parents[3] / "examples" / "folder_corpus.py"
    done = command(f"pairs:{tmp_path}", "--plugin", str(plugin))
    assert done.returncode == 0, done.stderr
    assert {"star", "red"} <= set((tmp_path / "vocab.txt").read_text(encoding="utf-8").splitlines())
