"""What the program tells its user: `logging`, shown by rich in the commands and silent in a library until asked.

Every module has `log = logging.getLogger(__name__)`. A user of the library silences or redirects the loggers `simvtp`,
`sweeps` and `analysis` as any others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleRenderable
from rich.logging import RichHandler

from simvtp.errors import printable

NAMES = ("simvtp", "sweeps", "analysis", "__main__")  # the last: of a command that `python -m` runs


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


def say(text: str) -> None:
    """Log one line from wherever there is no logger yet."""
    logging.getLogger(NAMES[0]).info(text)
