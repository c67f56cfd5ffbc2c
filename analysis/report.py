"""`python analysis/report.py results/`: report.html, one file that needs no network, with everything the runs show."""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__" and not __package__:  # run as a file: this folder must not hide the standard `statistics`
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis import command, contents, provenance, style
from analysis.costs import MEASURES, Measure, add_option
from analysis.records import Sweep
from analysis.results import Collection

TEMPLATES = Path(__file__).parent / "templates"


def page(
    collection: Collection, sections: Sequence[contents.Section], searches: Sequence[contents.Search], measure: Measure
) -> str:
    """The whole page. What is not ours (labels, captions, tracebacks, configs) is escaped by the template engine."""
    engine = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    css, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    groups, without = provenance.environments(collection.folder, collection.runs)
    usual, lines = contents.all_runs(collection)
    pictures, damaged = contents.reconstructions(collection.folder)
    return engine.get_template("report.html").render(
        # Marked as ours: these two files are part of the code, and the policy below admits nothing but them.
        css=Markup(css),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src '{_hash(css)}'; script-src '{_hash(script)}'",
        name=collection.folder.resolve().name,
        overview=contents.overview(collection, sections),
        sections=sections,
        searches=searches,
        fronts=contents.fronts(sections, measure),
        reconstructions=pictures,
        failures=provenance.failures(collection.folder, collection.failures, collection.sweeps),
        skipped=[*collection.skipped, *damaged],
        costs=provenance.costs(collection.runs.values()),
        environments=groups,
        without_environment=without,
        usual=usual,
        lines=lines,
    )


def _hash(text: str) -> str:
    """As a content security policy names a script or a style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def show(arguments: argparse.Namespace, collection: Collection, sweeps: Sequence[Sweep]) -> int:
    """Writes the page; returns how many sweeps have nothing to show yet."""
    style.apply()
    measure = MEASURES[arguments.cost]
    sections = [contents.section(sweep, collection, measure) for sweep in sweeps]
    searches = [contents.search_of(name, collection) for name in command.searches(collection, arguments.only)]
    path = arguments.output or collection.folder / "report.html"
    command.write(path, page(collection, sections, searches, measure).encode())
    for part in sections:
        print(f"{part.summary.sweep.folder}: {part.finding}. {part.summary.state()}".rstrip())
    print(f"-> {path}")
    return sum(not part.rows for part in sections) + sum(not part.pictures for part in searches)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("python analysis/report.py", str(__doc__))
    add_option(parser)
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write it (report.html in the folder)")
    return command.run(parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
