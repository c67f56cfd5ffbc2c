"""Text from results folders, made safe for one line of a terminal, table, figure or file name."""

from __future__ import annotations

import hashlib
import itertools
import re
import shlex

_LONGEST = 300  # characters of a label or message; a figure cannot show more
_PLAIN_NAME = re.compile(r"[\w.+=,@ -]{1,200}")


def printable(text: str) -> str:
    """Text without control characters and lone surrogates; line breaks and tabs stay."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")


def one_line(value: object) -> str:
    """Printable text without line breaks, shortened to 300 characters."""
    text = " ".join(printable(str(value)).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."


def is_plain_name(name: str) -> bool:
    """Whether a name can be part of a path and of a LaTeX file: letters, digits, spaces and . _ + = , @ - only."""
    return _PLAIN_NAME.fullmatch(name) is not None and name not in (".", "..")


def file_name(text: str) -> str:
    """A file name for any text. Other characters become '_'; a digest then keeps two texts apart."""
    if is_plain_name(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9.+=,@-]+', '_', text)[:80]}-{digest}"


def changed_settings(command: str) -> str:
    """What `--set` changes in the base of a sweep's command, without `machine.*`; raises ValueError on open quotes."""
    words = shlex.split(command)
    changes = [word.removeprefix("--set=") for word in words if word.startswith("--set=")]
    changes += [after for word, after in itertools.pairwise(words) if word == "--set"]
    return one_line(", ".join(change for change in changes if not change.startswith("machine.")))
