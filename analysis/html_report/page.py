"""The whole report as one page: what analysis/report.py does once its options are read."""

from __future__ import annotations

import argparse
import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis import cli
from analysis.figures import looks, style
from analysis.html_report.sections import (
    Search,
    Section,
    all_runs,
    fronts,
    overview,
    reconstructions,
    search_of,
    section,
)
from analysis.runs import provenance
from analysis.runs.load import Collection
from analysis.runs.schema import Sweep
from analysis.runs.text import printable
from analysis.stats.cost import MEASURES, Measure
from analysis.tables import yardsticks

TEMPLATES = Path(__file__).parent / "templates"


def page(collection: Collection, sections: Sequence[Section], searches: Sequence[Search], measure: Measure) -> str:
    """The whole page. Text from results (labels, captions, tracebacks, configs) is escaped by the template engine."""
    engine = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    css, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    groups, without = provenance.environments(collection.folder, collection.runs)
    usual, lines = all_runs(collection)
    pictures, damaged = reconstructions(collection.folder)
    return engine.get_template("report.html").render(
        # Not escaped: these two files are part of the code, and the content security policy admits nothing but them.
        css=Markup(css),
        script=Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src '{_hash(css)}'; script-src '{_hash(script)}'",
        name=printable(collection.folder.resolve().name),
        overview=overview(collection, sections),
        sections=sections,
        yardstick_title=yardsticks.TITLE,
        yardstick_headings=yardsticks.HEADINGS,
        searches=searches,
        fronts=fronts(sections, measure),
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
    style.apply(looks.REPORT)
    measure = MEASURES[arguments.cost]
    sections = [section(sweep, collection, measure, with_published=arguments.published) for sweep in sweeps]
    searches = [search_of(name, collection) for name in cli.searches(collection, arguments.only)]
    path = arguments.output or collection.folder / "report.html"
    cli.write(path, page(collection, sections, searches, measure).encode(errors="replace"))
    for part in sections:
        cli.output(f"{part.summary.sweep.folder}: {part.finding}. {part.summary.state()}".rstrip())
    cli.output(f"-> {path}")
    return sum(not part.rows for part in sections) + sum(not part.pictures for part in searches)
