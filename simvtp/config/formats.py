"""Settings that are text with a syntax: lengths, grids of tubes, RandAugment recipes.

Each function returns the canonical spelling, so that equal settings have equal ids, and raises ValueError with what the
setting takes if the text has another syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from simvtp.errors import ConfigError

LENGTH = 'a length such as "600 steps" or "20 epochs"'
GRID = "a grid of tubes, slots x rows x columns, such as 8x14x14, or nothing"
RECIPE = "a magnitude up to 10 and a number of operations, such as m7-n4, or nothing"

_LENGTH = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*(step|epoch)s?\s*", re.ASCII | re.IGNORECASE)
_GRID = re.compile(r"\s*([0-9]{1,6})\s*x\s*([0-9]{1,6})\s*x\s*([0-9]{1,6})\s*", re.ASCII | re.IGNORECASE)
_RECIPE = re.compile(r"\s*m([0-9]{1,2}(?:\.[0-9]{1,6})?)\s*-\s*n([0-9]{1,3})\s*", re.ASCII | re.IGNORECASE)


def length(text: str) -> str:
    """ "400steps", "400.0 step" -> "400 steps"; a length of zero is "0 steps", whatever its unit."""
    match = _LENGTH.fullmatch(text)
    if not match:
        raise ValueError(LENGTH)
    number, unit = Decimal(match[1]), match[2].lower()
    if unit == "step" and number != number.to_integral_value():
        raise ValueError("a whole number of steps")
    return f"{_plain(number)} {unit}s" if number else "0 steps"


def grid(text: str) -> str:
    """ "8 x 14 x 14" -> "8x14x14"; "" stays."""
    if not text.strip():
        return ""
    match = _GRID.fullmatch(text)
    if not match or not all(int(size) for size in match.groups()):
        raise ValueError(GRID)
    return "x".join(str(int(size)) for size in match.groups())


def rand_augment(text: str) -> str:
    """ "m7.0-n4" -> "m7-n4"; "" stays."""
    if not text.strip():
        return ""
    match = _RECIPE.fullmatch(text)
    if not match or Decimal(match[1]) > 10 or not int(match[2]):
        raise ValueError(RECIPE)
    return f"m{_plain(Decimal(match[1]))}-n{int(match[2])}"


def magnitude_and_number(recipe: str) -> tuple[float, int]:
    """ "m7-n4" -> (7.0, 4): magnitude of RandAugment from 0 to 10, operations a clip."""
    magnitude, _, number = rand_augment(recipe)[1:].partition("-n")
    return float(magnitude), int(number)


def steps_of(text: str, steps_per_epoch: int) -> int:
    """Optimiser steps of a length such as "600 steps" or "2.5 epochs".

    Raises ConfigError if `text` is neither.
    """
    try:
        number, _, unit = length(text).partition(" ")
    except ValueError as takes:
        raise ConfigError(f"{text!r} is not {takes}") from None
    return int(number) if unit == "steps" else round(float(number) * steps_per_epoch)


def parse_assignments(texts: Iterable[str]) -> dict[str, str]:
    """["mask.video=0.5"] -> {"mask.video": "0.5"}; raises ConfigError if there is no `=`."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text!r}: write it as key=value, such as mask.video=0.75")
        pairs[key.strip()] = value.strip()
    return pairs


def _plain(number: Decimal) -> str:
    """Without an exponent and without trailing zeros."""
    return format(number.normalize(), "f")
