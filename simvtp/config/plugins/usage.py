"""The plugins that a config uses: values of their fields, the record of their source, and the objects to call.

Fields of extensions are in `Config.extra`, as (path, value) pairs: all fields of an extension that is on, and of one
that is off only what differs from the defaults. A config of which the plugins are not loaded keeps what it says, so
that results can be read without them; what needs the plugin's code asks `made`, which says what to load.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from simvtp.config.plugins.registry import EXTENSIONS, FIELDS, SECTIONS, Extension, Kind
from simvtp.config.plugins.source import Plugin, parse_record, write_record
from simvtp.errors import ConfigError, nearest

if TYPE_CHECKING:
    from simvtp.config.schema import Config

Extra = tuple[tuple[str, Any], ...]
LOAD = "give its module by --plugin (docs/extend.md)"


def extension_of(path: str) -> str:
    """ "objective.features.bins" -> "objective.features"."""
    return ".".join(path.split(".")[:2])


def is_extra(path: str) -> bool:
    """Whether a path may be a field of an extension, loaded or not."""
    parts = path.split(".")
    return len(parts) in (2, 3) and any(parts[0] in sections for sections in SECTIONS.values())


def settle(config: Config, kinds: tuple[str, ...]) -> dict[str, Any]:
    """The `extra` and `plugins` of a config as they are kept; raises ConfigError if a plugin is missing, is not the
    recorded one, or a value cannot be.

    kinds: of masks that need no plugin.
    """
    recorded, given = parse_record(config.plugins), dict(config.extra)
    chosen = _chosen(config, kinds, recorded)
    kept: dict[str, Any] = {}
    record: dict[str, Plugin] = {}
    for key in sorted({*map(extension_of, given), *chosen}):
        own = {path: value for path, value in given.items() if extension_of(path) == key}
        is_on = key in chosen or bool(own.get(key))
        if key in EXTENSIONS:
            own, is_on = _normalised(key, own, is_on)
            plugin = EXTENSIONS[key].plugin
            entry = recorded.get(key, plugin)
            if entry.digest != plugin.digest:
                raise ConfigError(
                    f"{key}: the plugin {plugin.place} is not the one that this config was made with (digest "
                    f"{plugin.digest}, not {entry.digest}); load that one"
                )
        elif key in recorded:
            entry = recorded[key]
            if not is_on:
                own.pop(key, None)
        elif is_on:
            raise ConfigError(f"{key}: no plugin that is loaded has it; {LOAD}")
        else:
            continue  # off, and written down beside a sweep's other settings
        if is_on or own:
            kept |= own
            record[key] = entry
    return {"extra": tuple(kept.items()), "plugins": write_record(record)}


def _chosen(config: Config, kinds: tuple[str, ...], recorded: Mapping[str, Plugin]) -> set[str]:
    """Extensions that a value of an own field names: a kind of mask, and kinds of corpora."""
    names = {f"corpus.{name.partition(':')[0]}" for name in (config.data.pretrain, config.data.finetune)}
    names &= {*EXTENSIONS, *recorded}
    kind = config.mask.kind
    if kind not in kinds:
        key = f"mask.{kind}"
        if key not in EXTENSIONS and key not in recorded:
            known = [*kinds, *(name.partition(".")[2] for name in EXTENSIONS if name.startswith("mask."))]
            raise ConfigError(
                f"mask.kind: {kind!r} is not possible; it takes {' or '.join(known)}{nearest(kind, known)}, or that of "
                f"a plugin: {LOAD}"
            )
        names.add(key)
    return names


def _normalised(key: str, own: Mapping[str, Any], is_on: bool) -> tuple[dict[str, Any], bool]:
    """The fields to keep, in their one spelling, and whether the extension is on."""
    fields = {path: field for path, field in FIELDS.items() if extension_of(path) == key}
    for path in own:
        if path not in fields:
            raise ConfigError(f"unknown config key {path!r}{nearest(path, fields)}")
    values = {path: field.normal(own.get(path, field.default)) for path, field in fields.items()}
    is_on = is_on or bool(values.get(key))
    return {path: value for path, value in values.items() if is_on or value != fields[path].default}, is_on


def used(config: Config, ids: Mapping[str, tuple[str, ...]], stage: str) -> Iterator[tuple[str, Any]]:
    """What of plugins counts in an id: the digest and the values of each extension that is on.

    ids: section -> ids that it counts in; stage: the id.
    """
    extra = dict(config.extra)
    for key, entry in parse_record(config.plugins).items():
        section, _, name = key.partition(".")
        is_on = bool(extra.get(key)) or (section == "mask" and config.mask.kind == name)
        if stage in ids[section] and is_on:
            yield f"plugins.{key}", entry.digest
            yield from ((path, value) for path, value in config.extra if extension_of(path) == key)


def active(config: Config, section: str) -> dict[str, tuple[Any, Any]]:
    """Name -> (value of its field, what to call) of the extensions of a section that are on.

    section: objective, evaluate, pretrain or finetune. Raises ConfigError if a plugin is not loaded.
    """
    extensions = {}
    for path, value in config.extra:
        parts = path.split(".")
        if parts[0] == section and len(parts) == 2 and value:
            extension = _loaded(config, path)
            options = {name: dict(config.extra)[f"{path}.{name}"] for name in extension.options}
            is_class = isinstance(extension.made, type)
            extensions[parts[1]] = (value, extension.made(**options) if is_class else extension.made)
    return extensions


def names_on(config: Config, section: str) -> list[str]:
    """Names of the extensions of a section that are on, whether or not their plugins are loaded."""
    return [path.partition(".")[2] for path, value in config.extra
            if path.count(".") == 1 and path.startswith(f"{section}.") and value]  # fmt: skip


def made(kind: Kind, name: str) -> Any:
    """The `Mask` or `CorpusKind` of a plugin; raises ConfigError if none that is loaded has it."""
    key = f"{SECTIONS[kind][0]}.{name}"
    if key not in EXTENSIONS:
        raise ConfigError(f"{kind} {name}: no plugin that is loaded has it; {LOAD}")
    return EXTENSIONS[key].made


def _loaded(config: Config, key: str) -> Extension:
    if key not in EXTENSIONS:
        entry = parse_record(config.plugins).get(key)
        place = (
            f"of the plugin {entry.place}, which is not loaded; add --plugin {entry.place} (in Python: import it)"
            if entry
            else LOAD
        )
        raise ConfigError(f"{key} is {place}")
    return EXTENSIONS[key]
