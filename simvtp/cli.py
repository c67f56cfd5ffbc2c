"""The command-line options that every command shares: which config, and where results live."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

from simvtp.config.experiment import Experiment
from simvtp.config.formats import parse_assignments
from simvtp.config.presets import PRESETS, preset
from simvtp.config.run_id import resolved
from simvtp.config.schema import Config, override
from simvtp.errors import ConfigError, DataError
from simvtp.runtime.locks import Busy
from simvtp.runtime.log import show_log
from simvtp.runtime.signals import Interrupted


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --preset, --set and --results."""
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


def config_from(arguments: argparse.Namespace) -> Config:
    """The preset with every --set applied, resolved; raises ConfigError."""
    return resolved(override(preset(arguments.preset), parse_assignments(arguments.assignments)))


def experiment_from(arguments: argparse.Namespace) -> Experiment:
    """The run that the options describe; raises ConfigError."""
    return Experiment(config_from(arguments), arguments.preset, arguments.results)


def main(command: Callable[[], None]) -> None:
    """Run a command. Exit codes: 0 done, 2 bad input, 3 another process is at it, 130 interrupted (resumable)."""
    show_log()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # file names may hold bytes that are no UTF-8
            stream.reconfigure(errors="backslashreplace")
    try:
        command()
    except (ConfigError, DataError) as error:
        _leave(f"error: {error}", 2)
    except Busy as error:
        _leave(f"busy: {error}", 3)
    except Interrupted as error:
        _leave(f"{error}; the same command continues from there", 130)


def _leave(text: str, code: int) -> None:
    rank = int(os.environ.get("RANK", "0"))  # as `distributed` has it, which takes seconds to import
    print(f"process {rank}: {text}" if rank else text, file=sys.stderr)
    sys.exit(code)
