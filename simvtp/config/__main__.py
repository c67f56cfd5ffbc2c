"""`python -m simvtp.config show base`: every field of a preset with its value, its meaning and its source."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from simvtp.config.presets import PRESETS, preset
from simvtp.config.schema import Config, flatten, override, parse_assignments
from simvtp.config.sources import source
from simvtp.errors import ConfigError

NARROWEST = 130  # columns of the table where the output is no terminal, or a narrow one


def meanings(config: Config) -> dict[str, str]:
    """{"mask.video": "share of tubes masked ...", ...}, in the order of the definition."""
    found: dict[str, str] = {}
    for part in dataclasses.fields(config):
        section = getattr(config, part.name)
        if dataclasses.is_dataclass(section):
            found |= {f"{part.name}.{leaf.name}": leaf.metadata["meaning"] for leaf in dataclasses.fields(section)}
        else:
            found[part.name] = part.metadata["meaning"]
    return found


def rows(name: str, assignments: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Key, value as it is typed, meaning and source of every field; raises ConfigError."""
    changes = parse_assignments(assignments)
    config = override(preset(name), changes)
    explained = meanings(config)
    return [
        (key, _typed(value), explained[key], "--set" if key in changes else source(name, key, value))
        for key, value in flatten(config).items()
    ]


def _typed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def _table(name: str, assignments: Sequence[str]) -> Table:
    table = Table(title=f"preset {name}", box=None, title_justify="left", pad_edge=False)
    for column in ("field", "value", "meaning", "source"):
        table.add_column(column, overflow="fold", no_wrap=column == "field")
    section = ""
    for row in rows(name, assignments):
        if section and row[0].partition(".")[0] != section:
            table.add_row()
        section = row[0].partition(".")[0]
        table.add_row(*row)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 2 after one line on stderr where the preset or a setting is not known."""
    parser = argparse.ArgumentParser(prog="python -m simvtp.config", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser("show", help="print a preset", description=__doc__)
    shown.add_argument("preset", nargs="?", default="tiny", help=" or ".join(PRESETS) + " (tiny)")
    shown.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments",
                       help="change one field, such as mask.video=0.75; repeatable")  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        table = _table(given.preset, given.assignments)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, NARROWEST)
    console.print(table)
    return 0
