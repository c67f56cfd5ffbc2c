"""Definition of a config field: `setting` has all its properties, from which everything else is derived.

Type and choices come from the annotation (`Literal["tube", "frame"]` is a choice), the rest from `setting`. Derived are
validation and the one spelling of each value, `python -m simvtp.config show`, the ids, and labels of sweeps and tables.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, Literal, get_args, get_origin, get_type_hints

from simvtp.errors import ConfigError, nearest, quoted

PRETRAIN, RUN = "pretrain", "run"
BOTH = (PRETRAIN, RUN)

Unit = Literal["share", "rate", "number", "count", "name"]

_BOOLS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
_INTERVAL = re.compile(r"([\[(])(\S+), (\S+)([\])])")
_LARGEST = 2**63
_WANTED = {bool: "true or false", int: "a whole number below 2^63", float: "a number", str: "UTF-8 text"}


def setting(
    meaning: str,
    default: Any = dataclasses.MISSING,
    *,
    within: str = "",
    form: Callable[[str], str] | None = None,
    unit: Unit | None = None,
    label: str = "",
    axis: str = "",
    log: bool = False,
    source: str | Mapping[str, str] = "",
    in_id: tuple[str, ...] | None = None,
    pretrain_if: Callable[[Any], bool] | None = None,
    is_open: bool = False,
) -> Any:
    """A field of a section, or one of the config itself.

    meaning: a phrase for `show` and the docs.
    default: for a field that was added later: the behaviour of the code without it. Configs on disk that lack the
        field have this value, presets need not name it, and with this value it is in no id, so existing results stay
        valid.
    within: numbers that it takes, such as "[0, 1)" or "[1, inf)".
    form: for text with a syntax: returns the canonical spelling, raises ValueError with what the field takes.
    unit: how labels show it: a share as percent, a rate as 3e-3; by default a number, count or name, by its type.
    label: its word in labels; by default its name.
    axis: its name on the axes of figures, behind that of its stage; by default its label, behind its section's name.
    log: whether figures show it on a log scale; rates always are.
    source: where the value of preset `base` comes from; a mapping from section to source where sections differ.
    in_id: the ids that it counts in, of (PRETRAIN, RUN). source and in_id default to those of the section.
    pretrain_if: whether it counts in the pre-training id, from the config: settings of what is off do not.
    is_open: whether plugins may add choices, which the config checks (`simvtp/config/plugins/usage.py`).
    """
    facts = {"meaning": meaning, "within": within, "form": form, "unit": unit, "label": label, "axis": axis,
             "log": log, "source": source, "in_id": in_id, "pretrain_if": pretrain_if,
             "is_open": is_open}  # fmt: skip
    return dataclasses.field(default=default, metadata=facts)


@dataclasses.dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`, written as in mathematics."""

    text: str
    low: float
    high: float
    with_low: bool
    with_high: bool

    @classmethod
    def parse(cls, text: str) -> Interval:
        match = _INTERVAL.fullmatch(text)
        if not match:
            raise ValueError(f"{text!r} is no interval such as [0, 1)")
        return cls(text, float(match[2]), float(match[3]), match[1] == "[", match[4] == "]")

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.with_low else value > self.low
        return above and (value <= self.high if self.with_high else value < self.high)

    def words(self, *, whole: bool) -> str:
        kind = "a whole number" if whole else "a number"
        if self.high < math.inf:
            return f"{kind} in {self.text}"
        return f"{kind} {'from' if self.with_low else 'above'} {self.low:g}"


@dataclasses.dataclass(frozen=True)
class Field:
    """All facts of one field. path: as on the command line, such as mask.video; kind: bool, int, float or str."""

    path: str
    kind: type
    choices: tuple[Any, ...]
    default: Any
    meaning: str
    within: Interval | None
    form: Callable[[str], str] | None
    unit: Unit
    label: str
    axis: str
    log: bool
    source: str
    in_id: tuple[str, ...]
    pretrain_if: Callable[[Any], bool] | None
    is_open: bool

    @property
    def section(self) -> str:
        """The part before the point; "" for a field of the config itself."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The part behind the point."""
        return self.path.rpartition(".")[2]

    @property
    def is_later(self) -> bool:
        """Whether configs on disk may lack it (`setting`)."""
        return self.default is not dataclasses.MISSING

    @cached_property
    def takes(self) -> str:
        """What it takes, in words."""
        if self.choices:
            return " or ".join(map(str, self.choices))
        if self.within is not None:
            return self.within.words(whole=self.kind is int)
        return {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[self.kind]

    def normal(self, value: Any) -> Any:
        """The canonical form of a value from the command line or from JSON, in the field's type; raises ConfigError.

        A value in canonical form is returned unchanged.
        """
        try:
            converted = _CONVERT[self.kind](value)
        except (ValueError, KeyError, TypeError, ArithmeticError):
            raise ConfigError(f"{self.path}: {quoted(value)} is not {self._wanted(value)}") from None
        if self.kind is float and not math.isfinite(converted):
            raise self._refusal(converted, "a finite number")
        if self.choices and converted not in self.choices and not self.is_open:
            raise self._refusal(converted, self.takes + (nearest(converted, self.choices) if self.kind is str else ""))
        if self.within is not None and converted not in self.within:
            raise self._refusal(converted, self.takes)
        if self.form is not None:
            try:
                converted = self.form(converted)
            except ValueError as takes:
                raise self._refusal(converted, str(takes)) from None
        return value if self.kind is not float and type(converted) is type(value) and converted == value else converted

    def _wanted(self, value: Any) -> str:
        return self.takes if self.kind is str and not isinstance(value, str) else _WANTED[self.kind]

    def _refusal(self, value: Any, takes: str) -> ConfigError:
        return ConfigError(f"{self.path}: {quoted(value)} is not possible; it takes {takes}")

    def show(self, value: Any) -> str:
        """A value for labels: 90%, 3e-3, 0.05, tube. Different values of a field are shown differently."""
        if isinstance(value, bool):
            return str(value).lower()
        if not isinstance(value, int | float) or not math.isfinite(value):
            return str(value) or '""'
        number = Decimal(repr(value)).normalize()
        if self.unit == "share":
            return f"{(100 * number).normalize():f}%"
        if self.unit == "rate" and 0 < value < 0.1:
            digits, _, exponent = f"{number:e}".partition("e")
            return f"{digits}e{int(exponent)}"
        return f"{number:f}" if 1e-4 <= abs(value) < 1e16 or not value else repr(value)


def _bool(value: Any) -> bool:
    return _BOOLS[value.strip().lower()] if isinstance(value, str) else {0: False, 1: True}[value]


def _float(value: Any) -> float:
    if isinstance(value, str):
        value = _BOOLS.get(value.strip().lower(), value)
    number = float(value)
    return number if number or math.copysign(1, number) > 0 else 0.0  # -0.0 is 0.0


def _int(value: Any) -> int:
    """Exact, however large: 9007199254740993 and "9007199254740993" do not pass through a float."""
    if isinstance(value, bool):
        raise TypeError
    number: int | Decimal = value if isinstance(value, int) else Decimal(value)
    if not -_LARGEST < number < _LARGEST or number != int(number):
        raise InvalidOperation
    return int(number)


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # bytes of the command line that are no UTF-8 come as lone surrogates
    if "\0" in value:
        raise ValueError
    return value


_CONVERT: dict[type, Callable[[Any], Any]] = {bool: _bool, int: _int, float: _float, str: _str}


def normalised(fields: Iterable[Field], values: Iterable[Any], config: Any) -> dict[str, Any]:
    """Attributes of a config whose canonical value differs from the given one; raises ConfigError."""
    changed: dict[str, dict[str, Any]] = {}
    for field, value in zip(fields, values, strict=True):
        normal = field.normal(value)
        if normal is not value:
            changed.setdefault(field.section, {})[field.name] = normal
    own = changed.pop("", {})
    return own | {name: dataclasses.replace(getattr(config, name), **new) for name, new in changed.items()}


def fields_of(config: type) -> dict[str, Field]:
    """Path -> field, of every field of a config class, in the order of the definition."""
    fields = {}
    for part, kind in get_type_hints(config).items():
        outer = config.__dataclass_fields__[part]  # type: ignore[attr-defined]
        if not outer.metadata:  # no setting
            continue
        if not dataclasses.is_dataclass(kind):
            fields[part] = _field(part, kind, outer, {"in_id": BOTH, "source": ""})
            continue
        assert isinstance(kind, type)
        fields |= section_fields(part, kind, **outer.metadata)
    return fields


def section_fields(part: str, section: type, in_id: tuple[str, ...], source: str = "") -> dict[str, Field]:
    """Path -> field, of a dataclass whose fields are settings. part: the path of the section; in_id, source: of fields
    that state none themselves. Raises ConfigError for a field that is no setting."""
    hints, fields = get_type_hints(section), {}
    for leaf in dataclasses.fields(section):
        if "meaning" not in leaf.metadata:
            raise ConfigError(f"{part}.{leaf.name}: it is declared without `setting`; write its meaning and default so")
        path = f"{part}.{leaf.name}"
        fields[path] = _field(path, hints[leaf.name], leaf, {"in_id": in_id, "source": source})
    return fields


def extension_field(
    path: str, off: bool | float, *, meaning: str, within: str, axis: str, in_id: tuple[str, ...]
) -> Field:
    """The field that switches on what a plugin adds. off: its default; within: the numbers that it takes; axis: its
    name in figures."""
    stated = setting(meaning, off, within=within, axis=axis)
    return _field(path, type(off), stated, {"in_id": in_id, "source": ""})


_STAGES = {"pretrain": "pre-training", "finetune": "fine-tuning"}  # section -> its name in figures
_UNITS: dict[type, Unit] = {bool: "name", int: "count", float: "number", str: "name"}


def _field(path: str, annotation: Any, stated: Any, common: Mapping[str, Any]) -> Field:
    facts = dict(stated.metadata)
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    kind = type(choices[0]) if choices else annotation
    part, _, name = path.rpartition(".")
    source = facts.pop("source")
    own = source.get(part, "") if isinstance(source, Mapping) else source
    within, label, in_id, unit, axis, log = (
        facts.pop(fact) for fact in ("within", "label", "in_id", "unit", "axis", "log")
    )
    label = label or name.replace("_", " ")
    axis = (
        f"{_STAGES[part]} {axis or label}" if part in _STAGES else axis or f"{part.rpartition('.')[2]} {label}".strip()
    )
    return Field(
        path=path, kind=kind, choices=choices, default=stated.default, label=label,
        axis=axis, log=log or unit == "rate",
        within=Interval.parse(within) if within else None, source=own or common["source"],
        in_id=common["in_id"] if in_id is None else in_id,
        unit=unit or _UNITS[kind], **facts,
    )  # fmt: skip
