"""Corpora as their owners publish them -> videos with captions.

A corpus is named `kind:place`: sprites:tiny (embedded), webvid:ROOT, msrvtt:ROOT (or msrvtt:ROOT?split=7k; splits:
1k-A, 9k, 7k, full), msvd:ROOT, didemo:ROOT, lsmdc:ROOT, activitynet:ROOT, csv:FILE, json:FILE, parquet:FILE, and
shards:DIR, any of these as `pack` writes it, or WebDataset shards as video2dataset writes them; or a kind of a plugin
(docs/extend.md). Its splits are "train", "val" and "test". The embedded corpus holds two data sets, so it has
"pretrain" (WebVid's layout) beside "train" (MSR-VTT's layout, for fine-tuning), and "test_seen"; elsewhere "pretrain"
is "train".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from simvtp.config.plugins.usage import made
from simvtp.data.annotations.records import Record, check_ids, shortened
from simvtp.data.annotations.video_files import find_videos, path_below
from simvtp.data.corpora import activitynet, csv_json, didemo, lsmdc, msrvtt, msvd, webdataset, webvid
from simvtp.data.corpora.corpus import Corpus, Sample, fingerprint
from simvtp.data.corpora.skip_list import skipped
from simvtp.data.corpora.spec import HINT, CorpusSpec
from simvtp.data.sprites import dataset
from simvtp.data.sprites.rendering import Frames
from simvtp.data.sprites.scenes import parse_spec
from simvtp.errors import DataError, nearest

__all__ = ["EXTRA_TESTS", "SPLITS", "Corpus", "Sample", "each_split", "kind_of", "load", "place_of",
           "read_records", "scenes_of", "vocabulary"]  # fmt: skip

log = logging.getLogger(__name__)
Found = TypeVar("Found")

SPLITS = ("pretrain", "train", "val", "test")
# Kind of corpus -> test galleries beside "test".
EXTRA_TESTS = {"sprites": ("test_seen",)}


def load(name: str, split: str, missing: str = "error", skip: str = "") -> Corpus:
    """A split of the corpus `kind:place`; the embedded one is made first where it is not there.

    In training splits, videos whose file is missing or which the list `skip` names are left out, and counted in the
    log. In evaluation splits missing ones are an error, or, where `missing` is "miss", kept as samples that do not
    exist. Raises DataError: unknown kind or split, no such file or field, a missing video, no video at all.
    """
    records, root = read_records(name, split)
    evaluation = split not in ("pretrain", "train")
    if skip and not evaluation:
        left_out = skipped(skip, kind_of(name))
        kept = [record for record in records if record.file not in left_out]
        log.info("%s, split %s: %d of %d videos are skipped (data.skip)", name, split, len(records) - len(kept),
                 len(records))  # fmt: skip
        records = kept
    strict = evaluation and missing == "error"
    found, lost = find_videos(records, root, strict=strict, corpus=f"{name}, split {split}")
    if lost:
        fate = "count as misses" if evaluation else "are left out"
        log.warning("%s, split %s: %d of %d videos have no file and %s", name, split, len(lost), len(records), fate)
    samples = tuple(Sample(record.video_id, path, record.captions, label=record.label) for record, path in found)
    if samples and evaluation and lost:
        there = {sample.video_id for sample in samples}
        samples = tuple(
            Sample(
                record.video_id, path_below(root, record.file), record.captions, record.video_id in there, record.label
            )
            for record in records
        )
    if not samples:
        where = f" below {root} (the first would be {shortened(root / records[0].file)})" if records else ""
        raise DataError(f"{name}, split {split}: no videos{where}; {HINT}")
    return Corpus(name, split, samples, fingerprint(samples))


def read_records(name: str, split: str) -> tuple[list[Record], Path]:
    """What the annotations of a split list, and the folder that their files count from; raises DataError."""
    spec = CorpusSpec.parse(name)
    splits = (*SPLITS, *EXTRA_TESTS.get(spec.kind, ()))
    if split not in splits:
        raise DataError(f"{name} has no split {split!r}; it has {', '.join(splits)}{nearest(split, splits)}")
    read = READERS.get(spec.kind) or made("corpus", spec.kind).read
    records, root = read(spec, split)
    check_ids(records, f"{name}, split {split}")
    return records, root


def each_split(name: str, read: Callable[[str], Found]) -> dict[str, Found]:
    """What `read` gives for every split that the corpus has; those that it has not are named in the log.

    Raises DataError, the first that `read` raised, where it gives nothing for any.
    """
    found, errors = {}, list[DataError]()
    for split in SPLITS if kind_of(name) == "sprites" else SPLITS[1:]:
        try:
            found[split] = read(split)
        except DataError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    for left_out in errors:
        log.warning("left out: %s", left_out)
    return found


def kind_of(name: str) -> str:
    """The kind of a corpus, the part before the colon; raises DataError if that is none."""
    return CorpusSpec.parse(name).kind


def place_of(name: str) -> str:
    """The folder or file that a corpus's name gives, without its options; raises DataError."""
    return CorpusSpec.parse(name).place


def vocabulary(name: str) -> Path | None:
    """The vocab.txt beside a corpus; None if there is none. The embedded corpus has one."""
    spec = CorpusSpec.parse(name)
    if spec.kind == "sprites":
        return dataset.ensure(parse_spec(spec.place)) / "vocab.txt"
    file = spec.folder / "vocab.txt"
    return file if file.is_file() else None


def scenes_of(name: str, split: str) -> Callable[[Sequence[str]], Frames] | None:
    """A function from video ids [N] to frames without noise, uint8 [N, T, H, W, 3]; None unless the corpus is the
    embedded one, which knows what its clips show."""
    spec = CorpusSpec.parse(name)
    return dataset.scenes(parse_spec(spec.place), split) if spec.kind == "sprites" else None


def _sprites(spec: CorpusSpec, split: str) -> tuple[list[Record], Path]:
    folder = dataset.ensure(parse_spec(spec.place))
    if split == "pretrain":
        return webvid.read(folder / "webvid", "train")
    if split == "test_seen":
        return msrvtt.read_gallery(folder / "msrvtt", folder / "msrvtt" / dataset.SEEN_TEST)
    return msrvtt.read(folder / "msrvtt", split)


ReadSplit = Callable[[CorpusSpec, str], tuple[list[Record], Path]]


def _folder(read: Callable[[Path, str], tuple[list[Record], Path]]) -> ReadSplit:
    """A reader of a folder, whose training split also serves for pre-training."""
    return lambda spec, split: read(spec.existing_path(), _training(split))


def _list(read: Callable[[CorpusSpec, str], tuple[list[Record], Path]]) -> ReadSplit:
    return lambda spec, split: read(spec, _training(split))


def _training(split: str) -> str:
    return "train" if split == "pretrain" else split


def _msrvtt(spec: CorpusSpec, split: str) -> tuple[list[Record], Path]:
    standard = spec.options.get("split", msrvtt.SPLITS[0])
    if standard not in msrvtt.SPLITS:
        known = ", ".join(msrvtt.SPLITS)
        raise DataError(f"{spec}: no such split; it takes {known}{nearest(standard, msrvtt.SPLITS)}")
    return msrvtt.read(spec.existing_path(), _training(split), standard)


READERS: dict[str, ReadSplit] = {
    "sprites": _sprites,
    "webvid": _folder(webvid.read),
    "msrvtt": _msrvtt,
    "msvd": _folder(msvd.read),
    "didemo": _folder(didemo.read),
    "lsmdc": _folder(lsmdc.read),
    "activitynet": _folder(activitynet.read),
    "csv": _list(csv_json.read_table),
    "json": _list(csv_json.read_json),
    "parquet": _list(csv_json.read_parquet),
    "shards": lambda spec, split: webdataset.read(spec.existing_path(), split),
}
