"""Corpora as their owners publish them -> videos with captions.

A corpus is named `kind:place`: sprites:tiny (embedded), webvid:ROOT, msrvtt:ROOT (or msrvtt:ROOT?split=7k; splits:
1k-A, 9k, 7k, full), msvd:ROOT, didemo:ROOT, lsmdc:ROOT, activitynet:ROOT, csv:FILE, json:FILE, and shards:DIR, any of
these as `pack` writes it. Its splits are "train", "val" and "test". The embedded corpus holds two data sets, so it has
"pretrain" (WebVid's layout) beside "train" (MSR-VTT's layout, for fine-tuning), and "test_seen"; elsewhere "pretrain"
is "train".
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from simvtp.config.file_digests import split
from simvtp.data.corpora import activitynet, csv_json, didemo, lsmdc, msrvtt, msvd, webdataset, webvid
from simvtp.data.corpora.annotations import Record, existing, inside
from simvtp.data.corpora.skip_list import skipped
from simvtp.data.sprites import dataset
from simvtp.data.sprites.scenes import parse_spec
from simvtp.errors import DataError, nearest
from simvtp.runtime.cache_dir import say
from simvtp.runtime.files import expanded

Found = TypeVar("Found")

SPLITS = ("pretrain", "train", "val", "test")
# Kind of corpus -> test galleries beside "test".
EXTRA_TESTS = {"sprites": ("test_seen",)}


@dataclass(frozen=True)
class Sample:
    """A video and all that is said about it. there: whether its file is."""

    video_id: str
    path: Path
    captions: tuple[str, ...]
    there: bool = True


@dataclass(frozen=True)
class Corpus:
    """One split. fingerprint: sha256[:12] over ids and captions, whatever their order and place on disk."""

    name: str
    split: str
    samples: tuple[Sample, ...]
    fingerprint: str
    whole: Corpus | None = field(default=None, repr=False, compare=False)  # where this is a fraction of it

    def fraction(self, share: float, seed: int) -> Corpus:
        """A random share of the videos. Nested: with one seed, a larger share holds every video of a smaller one."""
        if share >= 1:
            return self
        kept = tuple(sample for sample in self.samples if _position(seed, sample.video_id) < share)
        return dataclasses.replace(self, samples=kept, fingerprint=_fingerprint(kept), whole=self.whole or self)

    def paragraphs(self) -> Corpus:
        """Every video with one text: all its captions, joined in their order (paragraph-to-video retrieval)."""
        joined = tuple(dataclasses.replace(sample, captions=(" ".join(sample.captions),)) for sample in self.samples)
        return dataclasses.replace(self, samples=joined, fingerprint=_fingerprint(joined), whole=self)


def _position(seed: int, video_id: str) -> float:
    """A number in [0, 1) from a hash."""
    digest = hashlib.blake2b(f"{seed}\0{video_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _fingerprint(samples: tuple[Sample, ...]) -> str:
    lines = sorted(json.dumps([sample.video_id, sorted(sample.captions)]) for sample in samples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def load(spec: str, split: str, missing: str = "error", skip: str = "") -> Corpus:
    """A split of the corpus `kind:place`; the embedded one is made first where it is not there.

    In training splits, videos whose file is missing or which the list `skip` names are left out, and counted on stderr.
    In evaluation splits missing ones are an error, or, where `missing` is "miss", kept as samples that are not there.
    Raises DataError: unknown kind or split, no such file or field, a missing video, no video at all.
    """
    records, root = listed(spec, split)
    evaluation = split not in ("pretrain", "train")
    if skip and not evaluation:
        left_out = skipped(skip, kind_of(spec))
        kept = [record for record in records if record.file not in left_out]
        say(f"{spec}, split {split}: {len(records) - len(kept)} of {len(records)} videos are skipped (data.skip)")
        records = kept
    strict = evaluation and missing == "error"
    found, lost = existing(records, root, strict=strict, corpus=f"{spec}, split {split}")
    if lost:
        fate = "count as misses" if evaluation else "are left out"
        say(f"{spec}, split {split}: {len(lost)} of {len(records)} videos have no file and {fate}")
    samples = tuple(Sample(record.video_id, path, record.captions) for record, path in found)
    if samples and evaluation and lost:
        there = {sample.video_id for sample in samples}
        samples = tuple(
            Sample(record.video_id, inside(root, record.file), record.captions, record.video_id in there)
            for record in records
        )
    if not samples:
        where = f" below {root} (the first would be {root / records[0].file})" if records else ""
        raise DataError(f"{spec}, split {split}: no videos{where}; {HINT}")
    return Corpus(spec, split, samples, _fingerprint(samples))


def listed(spec: str, split: str) -> tuple[list[Record], Path]:
    """What the annotations of a split list, and the folder that its files count from; raises DataError."""
    kind, place = _kind_and_place(spec)
    splits = (*SPLITS, *EXTRA_TESTS.get(kind, ()))
    if split not in splits:
        raise DataError(f"{spec} has no split {split!r}; it has {', '.join(splits)}{nearest(split, splits)}")
    return READERS[kind](place, split)


def each_split(spec: str, read: Callable[[str], Found]) -> dict[str, Found]:
    """What `read` gives for every split that the corpus has; those that it has not are named on stderr.

    Raises DataError, the first that `read` raised, where it gives nothing for any.
    """
    found, refused = {}, []
    for name in SPLITS if kind_of(spec) == "sprites" else SPLITS[1:]:
        try:
            found[name] = read(name)
        except DataError as error:
            refused.append(str(error))
    if not found:
        raise DataError(refused[0])
    for why in refused:
        say(f"left out: {why}")
    return found


def kind_of(spec: str) -> str:
    """The part before the colon; raises DataError where that is no kind of corpus."""
    return _kind_and_place(spec)[0]


def place_of(spec: str) -> str:
    """The folder or file that a spec names, without a standard split; raises DataError."""
    return _without_standard(_kind_and_place(spec)[1])[0]


def vocabulary(spec: str) -> Path | None:
    """The vocab.txt beside a corpus; None where there is none. The embedded corpus has one."""
    kind, place = _kind_and_place(spec)
    if kind == "sprites":
        return dataset.ensure(parse_spec(place)) / "vocab.txt"
    folder = expanded(_without_standard(place)[0])
    file = (folder.parent if kind in ("csv", "json") else folder) / "vocab.txt"
    return file if file.is_file() else None


HINT = "to try without any download, use the embedded corpus, sprites:tiny"


def _sprites(place: str, split: str) -> tuple[list[Record], Path]:
    folder = dataset.ensure(parse_spec(place))
    if split == "pretrain":
        return webvid.read(folder / "webvid", "train")
    if split == "test_seen":
        return msrvtt.read_gallery(folder / "msrvtt", folder / "msrvtt" / dataset.SEEN_TEST)
    return msrvtt.read(folder / "msrvtt", split)


def _training_alias(
    read: Callable[[Path, str], tuple[list[Record], Path]],
) -> Callable[[str, str], tuple[list[Record], Path]]:
    def reader(place: str, split: str) -> tuple[list[Record], Path]:
        return read(_there(place), "train" if split == "pretrain" else split)

    return reader


def _there(place: str) -> Path:
    path = expanded(place)
    if not path.exists():
        raise DataError(f"{path} does not exist (looked for in {Path.cwd()}); {HINT}")
    return path


def _msrvtt(place: str, split: str) -> tuple[list[Record], Path]:
    place, standard = _without_standard(place)
    if standard not in msrvtt.SPLITS:
        known = ", ".join(msrvtt.SPLITS)
        raise DataError(
            f"msrvtt:{place}?split={standard}: no such split; it takes {known}{nearest(standard, msrvtt.SPLITS)}"
        )
    return msrvtt.read(_there(place), "train" if split == "pretrain" else split, standard)


def _without_standard(place: str) -> tuple[str, str]:
    """ROOT?split=7k -> ROOT, 7k; 1k-A where none is named."""
    root, _, standard = place.partition("?split=")
    return root, standard or "1k-A"


READERS: dict[str, Callable[[str, str], tuple[list[Record], Path]]] = {
    "sprites": _sprites,
    "webvid": _training_alias(webvid.read),
    "msrvtt": _msrvtt,
    "msvd": _training_alias(msvd.read),
    "didemo": _training_alias(didemo.read),
    "lsmdc": _training_alias(lsmdc.read),
    "activitynet": _training_alias(activitynet.read),
    "csv": _training_alias(csv_json.read_table),
    "json": _training_alias(csv_json.read_json),
    "shards": lambda place, split: webdataset.read(_there(place), split),
}


def _kind_and_place(spec: str) -> tuple[str, str]:
    kind, colon, place = split(spec)[0].partition(":")  # without a digest (simvtp/data/resolve.py)
    if kind not in READERS or not colon or not place:
        raise DataError(
            f"{spec!r} is not a corpus; write kind:place with kind one of {', '.join(READERS)}, such as "
            f"webvid:data/webvid{nearest(kind, READERS)}; {HINT}"
        )
    return kind, place
