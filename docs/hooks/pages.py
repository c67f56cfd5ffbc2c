"""What mkdocs adds to docs/ while it builds: the table of config fields, and files outside docs/ that pages link to."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

from simvtp.config.presets import PRESETS, preset
from simvtp.config.schema import FIELDS, flatten

ROOT = Path(__file__).parents[2]
OUTSIDE = re.compile(r"\]\(\.\./([^)#]+)")
HEAD = """---
hide: [toc]
---

# Config fields

Every field with its meaning, what it takes, its value in each preset, and the ids that it counts in:
of pre-training, of the run, of both. Set one with `--set FIELD=VALUE`; `python -m simvtp.config show PRESET` prints
them with their sources.
"""


def on_files(files: Any, config: Any) -> Any:
    """Adds the page of config fields, and each file outside docs/ that a page links to."""
    files.append(File.generated(config, "fields.md", content=fields_page()))
    linked = {path for file in files.documentation_pages() for path in OUTSIDE.findall(file.content_string)}
    for path in sorted(linked):
        files.append(File.generated(config, _place(path), content=_shown(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links out of docs/ lead to the pages that `on_files` made of those files."""
    return OUTSIDE.sub(lambda link: f"]({_place(link[1])}", markdown)


def _place(path: str) -> str:
    """Where a file of the repository is on the site."""
    return f"files/{path.removesuffix('.md')}.md"


def _shown(path: str) -> str:
    """A page of a file of the repository, whose own links lead nowhere on the site."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)
    return f"# {path}\n\n```python\n{text}```\n"


def fields_page() -> str:
    """The table of all config fields, section by section, as Markdown."""
    values = {name: flatten(preset(name)) for name in PRESETS}
    parts = [HEAD]
    for section, fields in itertools.groupby(FIELDS.values(), key=lambda field: field.section):
        parts.append(f"\n## {section or 'the run'}\n\n| field | meaning: what it takes | {' | '.join(values)} | id |")
        parts.append("|---" * (3 + len(values)) + "|")
        for field in fields:
            shown = " | ".join(f"`{_typed(flat[field.path])}`" for flat in values.values())
            text = f"| `{field.path}` | {field.meaning}: *{field.takes}* | {shown} | {', '.join(field.in_id)} |"
            parts.append(text)
    return "\n".join(parts) + "\n"


def _typed(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'
