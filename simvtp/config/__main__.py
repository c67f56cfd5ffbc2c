"""`python -m simvtp.config show base`: every field of a preset with its value, its meaning and its source."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.table import Table

from simvtp.cli import Parser, boundary
from simvtp.config.formats import parse_assignments
from simvtp.config.plugins.loading import load_plugins
from simvtp.config.plugins.registry import EXTENSIONS
from simvtp.config.plugins.registry import FIELDS as EXTRA_FIELDS
from simvtp.config.plugins.usage import extension_of
from simvtp.config.presets import BASE, PRESETS, preset
from simvtp.config.schema import FIELDS, flatten, override
from simvtp.runtime.log import stdout_console

SCALES = {"tiny": "tiny: minutes on one CPU core", "evidence": "evidence: eight minutes on one CPU core",
          "small": "small: half a minute on one GPU"}  # fmt: skip
NARROWEST = 130  # columns of the table where the output is no terminal, or a narrow one


def rows(name: str, assignments: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """Key, value as it is typed, meaning and source of every field; raises ConfigError."""
    changes = parse_assignments(assignments)
    values = flatten(override(preset(name), changes))
    return [
        (key, _typed(values[key]), field.meaning, "--set" if key in changes else _source(name, key, values[key]))
        for key, field in FIELDS.items()
    ]


def _source(name: str, key: str, value: object) -> str:
    """Where a preset's value comes from: that of `base` where it is the same, else the preset's scale."""
    if key in EXTRA_FIELDS:
        return f"the plugin {EXTENSIONS[extension_of(key)].plugin.place}"
    if value != flatten(BASE)[key] and FIELDS[key].section != "machine":
        return SCALES[name]
    return FIELDS[key].source or "an option of this framework, at its default"


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
    """The command; returns its exit code (`simvtp.cli.boundary`)."""
    parser = Parser(prog="python -m simvtp.config", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser("show", help="print a preset", description=__doc__)
    shown.add_argument("preset", nargs="?", default="tiny", help=" or ".join(PRESETS) + " (tiny)")
    shown.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments",
                       help="change one field, such as mask.video=0.75; repeatable")  # fmt: skip
    shown.add_argument("--plugin", action="append", default=[], metavar="MODULE", dest="plugins",
                       help="a .py file or module that adds fields (docs/extend.md); repeatable")  # fmt: skip
    given = parser.parse_args(arguments)
    return boundary(lambda: _show(given.preset, given.assignments, given.plugins))


def _show(name: str, assignments: Sequence[str], plugins: Sequence[str]) -> None:
    load_plugins(plugins)
    console = stdout_console()
    console.width = max(console.width, NARROWEST)
    console.print(_table(name, assignments))


if __name__ == "__main__":
    sys.exit(main())
