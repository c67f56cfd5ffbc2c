"""The command-line options that every command shares: which config, and where results live."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from simvtp.config.formats import parse_assignments
from simvtp.config.presets import PRESETS, preset
from simvtp.config.schema import Config, override
from simvtp.errors import ConfigError, DataError
from simvtp.runtime.locks import Busy
from simvtp.runtime.log import show_log
from simvtp.runtime.permissions import EXPLAINED, explained
from simvtp.runtime.signals import Interrupted


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
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="results folder")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--reuse-other-code", dest="other_code", action="store_const", const="reuse",
                       help="use results and checkpoints that other code made")  # fmt: skip
    other.add_argument("--redo", dest="other_code", action="store_const", const="redo",
                       help="delete what other code made of these runs, and make it anew")  # fmt: skip
    parser.add_argument("--tag", metavar="NAME", help="keep these runs apart from equal ones, by a name in their ids")


def config_from(arguments: argparse.Namespace) -> Config:
    """The preset with every --set applied, as typed (`simvtp.data.resolve` resolves it); raises ConfigError."""
    changes = parse_assignments(arguments.assignments)
    if arguments.other_code is not None:
        changes["machine.other_code"] = arguments.other_code
    if arguments.tag is not None:
        changes["tag"] = arguments.tag
    return override(preset(arguments.preset), changes)


def main(command: Callable[[], None]) -> None:
    """Run a command. Exit codes: 0 done, 2 bad input, 3 another process is at it, 130 interrupted (resumable)."""
    show_log()
    try:
        command()
    except (ConfigError, DataError) as error:
        _leave(f"error: {error}", 2)
    except OSError as error:
        if error.errno is not None and (error.errno not in EXPLAINED or not error.filename):
            raise
        known = explained(error, Path(os.fsdecode(error.filename))) if error.errno else error
        _leave(f"error: {known}", 2)
    except Busy as error:
        _leave(f"busy: {error}", 3)
    except Interrupted as error:
        _leave(f"{error}; the same command continues from there", 130)


def _leave(text: str, code: int) -> None:
    rank = os.environ.get("RANK", "0")  # as `distributed` has it, which takes seconds to import
    print(text if rank == "0" else f"process {rank}: {text}", file=sys.stderr)
    sys.exit(code)
