"""The command-line options that every command shares: which config, and where results live."""

from __future__ import annotations

import argparse
from pathlib import Path

from simvtp.config import Config, override, parse_assignments
from simvtp.identity import resolved
from simvtp.presets import PRESETS, preset


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
