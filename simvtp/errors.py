"""Errors that a user can cause; the message names the file or field and says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 200


class ConfigError(ValueError):
    """A config that cannot be run; the message names the field and says what it takes."""


def nearest(word: str, known: Iterable[str]) -> str:
    """'; did you mean ...?' for the closest known name, also where only the last part was typed."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    close = close or [name for name in names if name.rpartition(".")[2] == word.rpartition(".")[2]][:1]
    return f"; did you mean {close[0]!r}?" if close else ""


def quoted(value: object) -> str:
    """A value from outside as a message shows it: its repr, cut at 200 characters."""
    return brief(repr(value))


def brief(text: object) -> str:
    """A path or other text of a message, cut at 200 characters."""
    whole = str(text)
    return whole if len(whole) <= LONGEST else f"{whole[: LONGEST - 3]}..."


def printable(text: str) -> str:
    """Text from outside, safe for a terminal: line ends and tabs stay; other control characters and lone surrogates
    are written out (\\x1b)."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1] for letter in text)


class DataError(ValueError):
    """A corpus, annotation file or video that cannot be used; the message names it and says what to do."""


class TruncatedVideo(DataError):
    """A video file whose end is missing. No other reader is tried, as it would return the remaining part."""


class NotFinite(RuntimeError):
    """A loss became NaN or infinite; the message names the stage, the step and what to try."""
