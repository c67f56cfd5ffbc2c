"""Logging: shown by rich in the commands, silent in a library until its user configures it; and output on stdout.

Terminal control codes in text from outside, such as file names, are removed.

Every module has `log = logging.getLogger(__name__)`. A user of the library silences or redirects the loggers `simvtp`,
`sweeps` and `analysis` as any others.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleRenderable
from rich.logging import RichHandler
from rich.text import Text

from simvtp.errors import printable

NAMES = ("simvtp", "sweeps", "analysis", "__main__")  # the last: of a command that `python -m` runs
WIDTH = 140  # columns where stdout is no terminal: a log can be scrolled


def show_log(level: int = logging.INFO) -> None:
    """Print what this project logs to stderr, one line each, without markup; for commands.

    level: the least that is printed. Calling it again only changes the level.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)  # lines of a log file are not wrapped
    for name in NAMES:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if not any(isinstance(handler, RichHandler) for handler in logger.handlers):
            handler = _Lines(console=console, markup=False, highlighter=None)
            handler.setFormatter(_Printable())
            logger.addHandler(handler)


@contextmanager
def only_warnings(*, active: bool) -> Iterator[None]:
    """Within the block nothing below a warning is logged, if `active`: another process logs the same lines."""
    loggers = [logging.getLogger(name) for name in NAMES] if active else []
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


class _Printable(logging.Formatter):
    """Names of files and other text from outside reach a terminal without escape codes."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _Lines(RichHandler):
    """Messages as they are; RichHandler puts them into a table, which wraps and pads them."""

    def render(self, *, message_renderable: ConsoleRenderable, **_: object) -> ConsoleRenderable:
        return message_renderable


class PlainConsole(Console):
    """A console without markup, emoji codes and highlighting, that writes control characters out (\\x1b)."""

    def render_str(self, text: str, *, style: Any = "", justify: Any = None, overflow: Any = None, **_: Any) -> Text:
        """All text that is printed, and each cell and title of a table, comes by here."""
        return Text(printable(text), style=style, justify=justify, overflow=overflow)


def stdout_console(width: int = WIDTH) -> PlainConsole:
    """Of the terminal's width; of `width` columns where stdout is no terminal."""
    return PlainConsole(highlight=False, width=None if sys.stdout.isatty() else width)


def output(text: str) -> None:
    """Print a line on stdout."""
    print(printable(text))
