"""A command line is seen by every user of a machine: a password moves from it to the environment, first of all.

Only the standard library is used here, since it happens before anything else is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

VARIABLE = "SIMVTP_STORAGE"


def secret_url(word: str) -> str | None:
    """The URL in a word of a command line that holds a password, or a query, where one may stand too; None: none."""
    text = word.partition("=")[2] if word.startswith("--") else word
    if "://" not in text.split("=")[0]:
        return None
    try:
        parts = urlsplit(text)
        return text if parts.password is not None or parts.query else None
    except ValueError:
        return text  # no URL after all, but perhaps with a password in it


def words_without(words: Sequence[str], url: str) -> list[str]:
    """A command line without the option whose value the URL is."""
    kept: list[str] = []
    for word in words:
        if word == url:
            kept.pop()  # the option's name
        elif not word.endswith(f"={url}"):
            kept.append(word)
    return kept


def conceal() -> None:
    """Where a word of this command holds a password, start it anew with the URL where only its user can see it."""
    for url in filter(None, map(secret_url, sys.argv[1:])):
        os.environ[VARIABLE] = url
        os.execv(sys.executable, [sys.executable, *words_without(sys.orig_argv[1:], url)])
