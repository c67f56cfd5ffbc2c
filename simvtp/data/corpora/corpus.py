"""One split of a corpus: videos with their captions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """A video and all of its captions.

    path: its file, a member of a tar file or a part of a longer video (`simvtp/data/video/paths.py`). exists: whether
    that is there. label: its class, where the annotations name one.
    """

    video_id: str
    path: Path
    captions: tuple[str, ...]
    exists: bool = True
    label: str = ""


@dataclass(frozen=True)
class Corpus:
    """One split.

    name: as the config gives it, kind:place. split: such as "train". samples: in the order of the annotations.
    fingerprint: sha256[:12] over ids and captions, whatever their order and place on disk. whole: the corpus that this
    is a fraction of, or that has the same videos with other texts.
    """

    name: str
    split: str
    samples: tuple[Sample, ...]
    fingerprint: str
    whole: Corpus | None = field(default=None, repr=False, compare=False)

    def fraction(self, share: float, seed: int) -> Corpus:
        """A random share of the videos. Nested: with one seed, a larger share holds every video of a smaller one."""
        if share >= 1:
            return self
        kept = tuple(sample for sample in self.samples if _position(seed, sample.video_id) < share)
        return dataclasses.replace(self, samples=kept, fingerprint=fingerprint(kept), whole=self.whole or self)

    def paragraphs(self) -> Corpus:
        """Every video with one text: all its captions, joined in their order (paragraph-to-video retrieval)."""
        joined = tuple(dataclasses.replace(sample, captions=(" ".join(sample.captions),)) for sample in self.samples)
        return dataclasses.replace(self, samples=joined, fingerprint=fingerprint(joined), whole=self)


def _position(seed: int, video_id: str) -> float:
    """A number in [0, 1) from a hash."""
    digest = hashlib.blake2b(f"{seed}\0{video_id}".encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def fingerprint(samples: tuple[Sample, ...]) -> str:
    """sha256[:12] over the ids and captions, in whatever order they come."""
    lines = sorted(json.dumps([sample.video_id, sorted(sample.captions)]) for sample in samples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
