"""What the program tells its user: `logging`, shown by rich in the commands and silent in a library until asked.

Every module has `log = logging.getLogger(__name__)`. A user of the library silences or redirects the loggers `simvtp`,
`sweeps` and `analysis` as any others.
"""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler

NAMES = ("simvtp", "sweeps", "analysis", "__main__")  # the last: of a command run by `python -m`


def show_log(level: int = logging.INFO) -> None:
    """Print what this project logs to stderr, one line each, without markup; for commands.

    level: the least that is printed. Calling it again only changes the level.
    """
    console = Console(stderr=True, highlight=False)
    for name in NAMES:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if not logger.handlers:
            logger.addHandler(_handler(console))
        logger.propagate = False


def _handler(console: Console) -> logging.Handler:
    if not console.is_terminal:  # lines of a file are not wrapped
        handler: logging.Handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        return handler
    return RichHandler(console=console, show_time=False, show_level=False, show_path=False, markup=False,
                       highlighter=None)  # fmt: skip


def say(text: str) -> None:
    """Log one line from wherever there is no logger yet."""
    logging.getLogger(NAMES[0]).info(text)
