"""The command-line options that every command shares: which config, and the results folder."""

from __future__ import annotations

import argparse
import errno
import io
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from simvtp.config.formats import parse_assignments
from simvtp.config.plugins.loading import load_plugins, loaded
from simvtp.config.presets import PRESETS, preset
from simvtp.config.schema import Config, override
from simvtp.errors import ConfigError, DataError, NotFinite, printable
from simvtp.runtime.files import folder_to_make
from simvtp.runtime.locks import Busy
from simvtp.runtime.log import show_log
from simvtp.runtime.permissions import EXPLAINED, explained
from simvtp.runtime.signals import Interrupted


def is_console_script() -> bool:
    """Whether the user called `simvtp COMMAND`, and no script or module."""
    return sys.argv[0].startswith("simvtp ")


class Parser(argparse.ArgumentParser):
    """Argument parser whose error messages contain no terminal control codes.

    prog: the command as a script or module, such as "python -m simvtp.run"; shown is `simvtp run` where it was called
    so. options: those of ArgumentParser.
    """

    def __init__(self, prog: str | None = None, **options: Any) -> None:
        if prog is not None and is_console_script():
            prog = re.sub(r"^python (-m )?\S+", sys.argv[0], prog)
        super().__init__(prog=prog, **options)

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, and end with code 2."""
        super().error(printable(message))


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --preset, --set, --results, and what becomes of results of other code."""
    parser.add_argument("--preset", default="tiny", metavar="NAME", help=" or ".join(PRESETS) + " (tiny)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="change one config field, such as mask.video=0.75; repeatable",
    )
    add_plugin_argument(parser)
    parser.add_argument("--results", type=_folder, default=Path("results"), metavar="DIR", help="results folder")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--reuse-other-code", dest="other_code", action="store_const", const="reuse",
                       help="use results and checkpoints that other code made")  # fmt: skip
    other.add_argument("--redo", dest="other_code", action="store_const", const="redo",
                       help="delete what other code made of these runs, and make it anew")  # fmt: skip
    parser.add_argument("--tag", metavar="NAME", help="keep these runs apart from equal ones, by a name in their ids")


def add_plugin_argument(parser: argparse.ArgumentParser) -> None:
    """Add --plugin."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE",
        dest="plugins",
        help="a .py file or module of yours that adds objectives, masks, corpora ... (docs/extend.md); repeatable",
    )


def _folder(text: str) -> Path:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{text!r} is no UTF-8 text, as records and logs need it; rename it") from None
    if not text:
        raise argparse.ArgumentTypeError("it is empty; name a folder, or . for this one")
    try:
        return folder_to_make(text, "folder")
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def config_from(arguments: argparse.Namespace) -> Config:
    """The preset with every --set applied, as typed (`simvtp.data.resolve` resolves it), once the plugins are loaded.

    Raises ConfigError.
    """
    load_plugins(arguments.plugins)
    changes = parse_assignments(arguments.assignments)
    if arguments.other_code is not None:
        changes["machine.other_code"] = arguments.other_code
    if arguments.tag is not None:
        changes["tag"] = arguments.tag
    return override(preset(arguments.preset), changes)


def main(command: Callable[[], object]) -> None:
    """Run a command as a program: `boundary`, and the end of the process."""
    sys.exit(boundary(command))


def boundary(command: Callable[[], object]) -> int:
    """Run a command and return its exit code: the number it returns, or 0.

    Errors that a user can cause are one paragraph on stderr. Exit codes: 2: bad input, or a loss that diverged; 3:
    another process works on it; 130: interrupted, and resumable; 1: an unknown error, whose report is in a named file.
    """
    show_log()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
    try:
        code = command()
        return code if isinstance(code, int) else 0
    except (ConfigError, DataError, NotFinite) as error:
        return _say(f"error: {error}", 2)
    except Busy as error:
        return _say(f"busy: {error}", 3)
    except Interrupted as error:
        return _say(f"{error}; the same command continues from there", 130)
    except KeyboardInterrupt:
        return _say("stopped; the same command goes on from here", 130)
    except BrokenPipeError:  # whoever read the output has ended
        sys.stdout = io.StringIO()
        return 1
    except OSError as error:
        if error.errno is None:  # explained already
            return _say(f"error: {error}", 2)
        if error.errno not in (*EXPLAINED, errno.ENOENT, errno.EISDIR, errno.ELOOP) or not error.filename:
            return _report(error)
        return _say(f"error: {explained(error, Path(os.fsdecode(error.filename)))}", 2)
    except Exception as error:  # noqa: BLE001  (the report is written to a file, which is named)
        return _report(error)


def _report(error: Exception) -> int:
    with tempfile.NamedTemporaryFile(
        "w", prefix="simvtp-error-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    first = str(error).strip().partition("\n")[0]
    places = tuple(plugin.place for plugin in loaded())
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(places)]
    where, what = "", "This is not a known mistake; the"
    if frames:  # a plugin is the user's own
        where, what = f"plugin {frames[-1].filename}, line {frames[-1].lineno}: ", "The"
    return _say(f"error: {where}{type(error).__name__}: {first}. {what} report is {file.name}", 1)


def _say(text: str, code: int) -> int:
    rank = os.environ.get("RANK", "0")  # as `distributed` has it, which takes seconds to import
    print(printable(f"process {rank}: {text}" if rank != "0" else text), file=sys.stderr)
    return code
