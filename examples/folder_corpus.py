"""A corpus reader: a folder for each split, in which each video has a text file of the same name, a caption a line.

python -m simvtp.data.check pairs:ROOT --plugin examples/folder_corpus.py
python -m simvtp.run --plugin examples/folder_corpus.py --set data.finetune=pairs:ROOT

ROOT/train/a.mp4  ROOT/train/a.txt  ROOT/val/...  ROOT/test/...
"""

from __future__ import annotations

from pathlib import Path

from simvtp.config.plugins import register_corpus
from simvtp.data.annotations.records import Captions, Record
from simvtp.data.annotations.text_files import read_lines
from simvtp.data.corpora.spec import CorpusSpec
from simvtp.errors import DataError


@register_corpus("pairs", options=("ending",))
def read(spec: CorpusSpec, split: str) -> tuple[list[Record], Path]:
    """The videos of a split by name, and the folder that they count from; pairs:ROOT?ending=webm for other files."""
    ending = spec.options.get("ending", "mp4")
    folder = spec.existing_path() / ("train" if split == "pretrain" else split)
    if not folder.is_dir():
        raise DataError(f"{folder} does not exist: {spec} has no split {split}")
    records = []
    for text in sorted(folder.glob("*.txt")):
        captions = Captions(text)  # leaves empty ones out, and counts them
        for number, line in enumerate(read_lines(text), start=1):
            captions.add(text.stem, line, f"{text}, line {number}")
        if kept := captions.by_video().get(text.stem):
            records.append(Record(text.stem, f"{text.stem}.{ending}", kept))
    return records, folder
