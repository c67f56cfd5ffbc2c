"""Markdown: tables with pipes, and marked blocks of a page that commands write."""

from __future__ import annotations

import re
from collections.abc import Sequence

from simvtp.errors import DataError


def pipe_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> str:
    """A table; pipes inside cells are escaped.

    numbers: align all columns but the first to the right.
    """
    rule = ["---"] + ["---:" if numbers else "---"] * (len(headings) - 1)
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (headings, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:]))


def block_names(page: str) -> list[str]:
    """The names of a page's blocks, `<!-- NAME -->` to `<!-- end NAME -->`; raises DataError if a mark lacks its
    like."""
    marks = re.findall(r"^<!-- (.+?) -->$", page, re.MULTILINE)
    ends = {mark.removeprefix("end ") for mark in marks if mark.startswith("end ")}
    names = [mark for mark in marks if not mark.startswith("end ")]
    if lacking := ({*names} ^ ends):
        raise DataError(
            f"the marks of block {sorted(lacking)[0]!r} are not a pair: <!-- NAME --> and <!-- end NAME -->"
        )
    return names


def fill_block(page: str, name: str, content: str) -> str:
    """The page with `content` between the marks of `name`; at its end, under a heading, where it has no such block."""
    first, last = f"<!-- {name} -->", f"<!-- end {name} -->"
    block = f"{first}\n{content}\n{last}"
    if first in page:
        return re.sub(f"{re.escape(first)}.*?{re.escape(last)}", lambda _: block, page, flags=re.DOTALL)
    return f"{page.rstrip()}\n\n## {name}\n\n{block}\n"
