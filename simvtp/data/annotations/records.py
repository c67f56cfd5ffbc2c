"""Records of videos with their captions, as the readers of annotation files return them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from simvtp.errors import DataError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """A video as an annotation file lists it.

    file: its path from the corpus's video folder. label: its class, where the list names one.
    """

    video_id: str
    file: str
    captions: tuple[str, ...]
    label: str = ""


class Captions:
    """The captions of each video in the order of an annotation file. Empty ones are left out and counted.

    path: the annotation file, named in the log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.empty = 0
        self._by_video: dict[str, list[str]] = {}

    def add(self, video: str, caption: object, where: str) -> None:
        """Note a caption of a video; raises DataError that says where if it is neither text, a number nor null."""
        if isinstance(caption, int) and not isinstance(caption, bool):
            caption = str(caption)
        if caption is not None and not isinstance(caption, str):
            raise DataError(f"{where}: a caption has to be text, not {type(caption).__name__}")
        text = clean_caption(caption or "")
        captions = self._by_video.setdefault(video, [])
        if text:
            captions.append(text)
        else:
            self.empty += 1

    def by_video(self) -> dict[str, tuple[str, ...]]:
        """Every video with a caption, and all of its captions; logs how many empty captions there were."""
        if self.empty:
            without = sum(not captions for captions in self._by_video.values())
            log.warning(
                "%s: %d empty captions are left out; %d videos have no other and are left out too",
                self.path, self.empty, without,
            )  # fmt: skip
        return {video: tuple(captions) for video, captions in self._by_video.items() if captions}


def quoted(text: object) -> str:
    """A value in an error message, as Python writes it, shortened."""
    return shortened(repr(text))


def shortened(text: object) -> str:
    """A path or value in an error message; its middle is left out where it is long."""
    shown = str(text)
    return shown if len(shown) <= 400 else f"{shown[:300]} ... {shown[-80:]}"


def clean_caption(caption: str) -> str:
    """A caption with its white space made plain, and without the half of a character that a cut JSON escape leaves."""
    return " ".join(caption.encode(errors="ignore").decode().split())


def field_of(entry: Any, name: str, where: str) -> Any:
    """A field of a JSON object; raises DataError that says where if there is none."""
    if not isinstance(entry, dict) or name not in entry:
        raise DataError(f"{where}: the field {name!r} is missing")
    return entry[name]


def text_field(entry: Any, name: str, where: str) -> str:
    """A non-empty text field of a JSON object, as text; raises DataError that says where."""
    value = entry.get(name) if isinstance(entry, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: the field {name!r} is missing, empty or no text")
    return value


def check_ids(records: Iterable[Record], where: str) -> None:
    """Raises DataError if an id, used as the name of a file, would lead out of a folder, or is there twice."""
    seen: set[str] = set()
    for record in records:
        pure = PurePath(record.video_id)
        if pure.is_absolute() or ".." in pure.parts:
            raise DataError(
                f"{where}: the video id {quoted(record.video_id)} is a path that leads elsewhere, and is refused"
            )
        if record.video_id in seen:
            raise DataError(f"{where}: the video {quoted(record.video_id)} is listed twice")
        seen.add(record.video_id)
