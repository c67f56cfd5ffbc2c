"""How docstrings of this project become lists on the site: `name: meaning` of each argument and attribute."""

from __future__ import annotations

import re
from typing import Any

import griffe


class NamedArguments(griffe.Extension):
    """`title: one line. points: those that differ.` in a docstring -> a list with an entry for each of them."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        _as_list(func, {parameter.name for parameter in func.parameters})

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        _as_list(cls, {*cls.members, *(parameter.name for parameter in cls.parameters)})


def _as_list(documented: griffe.Object, names: set[str]) -> None:
    if documented.docstring is None or not names:
        return
    name = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    entry = re.compile(rf"(?:^|(?<=\. )|(?<=\.\n))[ ]*({name}): ", re.MULTILINE)
    documented.docstring.value = entry.sub(r"\n\n- `\1`: ", documented.docstring.value)
