"""Records of videos with their captions, as the readers of annotation files return them; their fields and times."""

from __future__ import annotations

import ast
import logging
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from simvtp.data.video.paths import Span
from simvtp.errors import DataError

log = logging.getLogger(__name__)

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")  # of a time: hours, minutes, seconds


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


def span_of(start: object, end: object, where: str) -> Span:
    """Begin and end of a clip in seconds, each a number or text such as 12.5, 02:03.5 or 0:02:03.500.

    Raises DataError that says where, also for a clip that ends before a millisecond has passed.
    """
    first, last = (_seconds(value, where) for value in (start, end))
    if last - first < 0.001:
        raise DataError(f"{where}: the clip from {quoted(start)} to {quoted(end)} ends before it begins")
    return first, last


def clips_of_lists(times: object, captions: object, where: str) -> Iterator[tuple[Span, Any]]:
    """(span, caption or captions) of lists of equal length: of [start, end] pairs, and of captions.

    In a CSV both are text, written as Python or JSON writes lists. Raises DataError that says where.
    """
    pairs, texts = _list(times, where), _list(captions, where)
    if len(pairs) != len(texts):
        raise DataError(f"{where}: {len(pairs)} times and {len(texts)} captions; each clip takes one")
    for pair, text in zip(pairs, texts, strict=True):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise DataError(f"{where}: {quoted(pair)} is no pair of times, [start, end]")
        yield span_of(pair[0], pair[1], where), text


def _list(value: object, where: str) -> list[Any]:
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = None
    if not isinstance(value, list):
        raise DataError(f"{where}: a list is expected where clips have a column of times, such as [['0:01', '0:07']]")
    return value


def _seconds(value: object, where: str) -> float:
    try:
        clock = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
        if clock:
            hours, minutes, seconds = clock.groups()
            return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
        found = math.nan if isinstance(value, bool) or value is None else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not 0 <= found < math.inf:
        raise DataError(f"{where}: {quoted(value)} is no time; write seconds, or hours:minutes:seconds")
    return found
