"""A sweep from the command line: `--vary mask.video=0.5,0.75 --vary pretrain.lr=3e-3,6e-3`."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from simvtp.config.fields import Field
from simvtp.config.schema import FIELDS
from simvtp.errors import ConfigError
from sweeps.catalogue import check_name, is_ablation
from sweeps.definition import Sweep, grid, in_order, known_field, name_of, paired

_COMMAS = (
    "values stand between commas, without brackets; a value that has a comma itself goes into double quotes, such as "
    """--vary 'data.skip="a,b.txt",c.txt'"""
)


def parse_vary(texts: Sequence[str], *, in_pairs: bool = False, name: str | None = None) -> tuple[str, Sweep]:
    """The name and content of a sweep over the fields and values of --vary.

    texts: of each --vary, such as "mask.video=0.5,0.75". in_pairs: a point of the first values, one of the second
    values, and so on, instead of every combination. name: of the sweep's results; None: made of the fields and a digest
    of the values. Fields and numbers are sorted, so the order on the command line does not matter.
    Raises ConfigError that names the field.
    """
    typed: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        if not equals:
            raise ConfigError(f"--vary {text!r}: write it as field=value,value, such as mask.video=0.5,0.75,0.9")
        key = _variable(key.strip())
        if key in typed:
            raise ConfigError(f"--vary {key}: it is there twice; give all values in one, with commas")
        typed[key] = _values(FIELDS[key], values)
    axes = {key: typed[key] if in_pairs else _sorted(FIELDS[key], typed[key]) for key in in_order(typed)}
    if in_pairs and len(axes) < 2:
        raise ConfigError("--zip: it pairs the values of several fields; give a second --vary")
    try:
        points = paired(axes) if in_pairs else grid(axes)
    except ConfigError as error:
        raise ConfigError(f"--zip: {error}") from error
    words = [FIELDS[key].axis for key in axes]
    title = f"{words[0][:1].upper()}{words[0][1:]}" + "".join(f" {'with' if in_pairs else 'by'} {w}" for w in words[1:])
    if name is None:
        content = json.dumps([axes, in_pairs], sort_keys=True)
        labels = [name_of(key, axes).replace(" ", "_") for key in axes]
        name = f"{'-'.join(labels)}-{hashlib.sha256(content.encode()).hexdigest()[:6]}"
    elif is_ablation(name):
        raise ConfigError(f"--name {name}: sweeps/ablations/ has a sweep of that name; take another")
    check_name(name, "--name: folders are called after it")
    return name, Sweep(title, axes=tuple(axes), points=points)


def _variable(key: str) -> str:
    """The key of a field that is part of a run's id; raises ConfigError for others."""
    try:
        field = FIELDS[known_field(key)]
    except ConfigError as error:
        raise ConfigError(f"--vary: {error}") from error
    if key == "seed":
        raise ConfigError("--vary seed: every point is trained with each seed of --seeds; give them there")
    if not field.in_id:
        raise ConfigError(f"--vary {key}: it changes no result, so all points would be one run; take it with --set")
    return key


def _values(field: Field, text: str) -> list[Any]:
    try:
        (parts,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        raise ConfigError(f"--vary {field.path}={text}: {_COMMAS}") from None
    if not parts:
        raise ConfigError(f"--vary {field.path}: it has no value; write {field.path}=value,value")
    if text.lstrip()[:1] in ("[", "(", "{"):
        raise ConfigError(f"--vary {field.path}={text}: {_COMMAS}")
    values: list[Any] = []
    for part in parts:
        try:
            value = field.normal(part.strip())
        except ConfigError as error:
            hint = f" ({_COMMAS})" if field.kind is str and not field.choices and len(parts) > 1 else ""
            raise ConfigError(f"--vary {error}{hint}") from error
        if value in values:
            raise ConfigError(f"--vary {field.path}: {field.show(value)} is there twice")
        values.append(value)
    return values


def _sorted(field: Field, values: list[Any]) -> list[Any]:
    """Numbers by size, choices in the order of the schema (those of plugins last), other text as given."""
    if field.choices:
        return sorted(values, key=lambda value: [*field.choices, value].index(value))
    return values if field.kind is str else sorted(values)
