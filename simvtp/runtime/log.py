"""What the program tells its user: `logging`, shown by rich in the commands and silent in a library until asked.

Every module has `log = logging.getLogger(__name__)`. A user of the library silences or redirects the loggers `simvtp`,
`sweeps` and `analysis` as any others.
"""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler

NAMES = ("simvtp", "sweeps", "analysis")


def show_log(level: int = logging.INFO) -> None:
    """Print what this project logs to stderr, one line each, without markup; for commands.

    level: the least that is printed. Calling it again only changes the level.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)  # lines of a log file are not wrapped
    for name in NAMES:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if not any(isinstance(handler, RichHandler) for handler in logger.handlers):
            logger.addHandler(_handler(console))
        logger.propagate = False


class _LineHandler(RichHandler):
    """Prints each record as one line: RichHandler's own table wraps it at the width of the terminal, 80 in a pipe."""

    def emit(self, record: logging.LogRecord) -> None:
        self.console.print(self.format(record), markup=False, highlight=False, soft_wrap=True)


def _handler(console: Console) -> logging.Handler:
    return _LineHandler(console=console)


def say(text: str) -> None:
    """Log one line from wherever there is no logger yet."""
    logging.getLogger(NAMES[0]).info(text)
