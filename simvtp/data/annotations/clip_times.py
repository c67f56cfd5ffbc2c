"""Times of clips in annotation files: seconds, or hours, minutes and seconds; alone or as lists of pairs."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from typing import Any

from simvtp.data.annotations.records import quoted
from simvtp.data.video.paths import Span
from simvtp.errors import DataError

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")


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
