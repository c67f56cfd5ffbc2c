"""What plugins have registered, and the decorators that register it.

Each decorator takes a function, or a frozen dataclass whose fields are `simvtp.config.fields.setting`s: these become
config fields of their own, and an instance is made with their values. The first line of its docstring is the meaning
that `python -m simvtp.config show` prints.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from simvtp.config.fields import PRETRAIN, RUN, Field, extension_field, section_fields
from simvtp.config.plugins.source import Plugin
from simvtp.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from simvtp.config.schema import Config

Kind = Literal["objective", "mask", "corpus", "evaluator", "augmentation"]
Pass = Literal["joint", "video", "text", "clean_video", "clean_text"]
PASSES: tuple[Pass, ...] = ("joint", "video", "text", "clean_video", "clean_text")

# Where the config field of an extension is, and the id that it counts in. What a corpus reader gives is digested whole
# (simvtp/data/corpora/content.py), so its code is in no id.
SECTIONS: Mapping[Kind, tuple[str, ...]] = {
    "objective": ("objective",), "mask": ("mask",), "corpus": ("corpus",), "evaluator": ("evaluate",),
    "augmentation": ("pretrain", "finetune"),
}  # fmt: skip
IDS: Mapping[str, tuple[str, ...]] = {
    "objective": (PRETRAIN,), "mask": (PRETRAIN,), "pretrain": (PRETRAIN,), "corpus": (), "evaluate": (RUN,),
    "finetune": (RUN,),
}  # fmt: skip

_Made = TypeVar("_Made", bound=Callable[..., Any])


class PretrainObjective:
    """An objective of pre-training; a plugin derives from it and overrides what differs.

    passes: passes of the encoder that it reads. joint: visible tubes and words as one sequence; video, text: the masked
    inputs alone; clean_video, clean_text: all tubes and all words. A pass is computed once for all that read it.
    """

    passes: ClassVar[Sequence[Pass]] = ("joint",)

    def head(self, config: Config) -> nn.Module | None:  # noqa: ARG002
        """The parameters of its own, on the CPU; None: it has none. Linear layers and embeddings are drawn anew from
        the run's seed."""
        return None

    def loss(self, head: nn.Module | None, step: Any) -> Tensor:
        """The unweighted loss, a scalar []. step: `simvtp.models.objectives.Step`."""
        raise NotImplementedError

    def flop(self, config: Config) -> float:  # noqa: ARG002
        """Floating-point operations of one clip in the forward pass, beside the passes of the encoder."""
        return 0.0


@dataclass(frozen=True)
class Mask:
    """A kind of video mask. draw: as `register_mask` describes; count: masked tubes of a clip, from (model, mask)."""

    draw: Callable[[int, Any, Any, torch.Generator], Any]
    count: Callable[[Any, Any], int]


@dataclass(frozen=True)
class CorpusKind:
    """A kind of corpus. read: (spec, split) -> (records, root); options: that its name takes; is_file: its place is the
    file of a list, not a folder."""

    read: Callable[[Any, str], tuple[list[Any], Any]]
    options: tuple[str, ...]
    is_file: bool


@dataclass(frozen=True)
class Extension:
    """Something that a plugin adds. made: what was decorated (for masks and corpora: `Mask`, `CorpusKind`); origin: the
    name of what was decorated in its module."""

    kind: Kind
    name: str
    made: Any
    plugin: Plugin
    origin: str
    options: tuple[str, ...] = ()


# What an extension is called with; of an objective, its `loss`.
CALLED_WITH: dict[Kind, tuple[str, ...]] = {
    "objective": ("head", "step"),
    "mask": ("batch", "model", "mask", "generator"),
    "corpus": ("spec", "split"),
    "evaluator": ("gallery",),
    "augmentation": ("clip", "random"),
}

# "objective.features", "mask.border", "evaluate.spread", ... -> what it is; of an augmentation, one key a stage.
EXTENSIONS: dict[str, Extension] = {}
FIELDS: dict[str, Field] = {}  # config fields of extensions by path


def register_objective(name: str) -> Callable[[type[Any]], type[Any]]:
    """Add an objective of pre-training: a frozen dataclass that derives from `PretrainObjective`.

    name: the objective's; its weight is the config field objective.NAME, 0 by default: off. Raises ConfigError for an
    unknown pass.
    """

    def register(made: type[Any]) -> type[Any]:
        if not (isinstance(made, type) and issubclass(made, PretrainObjective)):
            raise ConfigError(f"objective {name}: {made.__name__} must be a class that derives from PretrainObjective")
        if isinstance(made.passes, str):
            raise ConfigError(f"objective {name}: its passes are a list, such as passes = ({made.passes!r},)")
        if unknown := [part for part in made.passes if part not in PASSES]:
            raise ConfigError(f"objective {name}: there is no pass {unknown[0]!r}; it takes {', '.join(PASSES)}")
        return _register("objective", name, made, 0.0, "[0, inf)")

    return register


def register_mask(name: str, *, count: Callable[[Any, Any], int]) -> Callable[[_Made], _Made]:
    """Add a kind of video mask, mask.kind=NAME: a function (batch, model, mask, generator) -> VideoMask.

    The function gets the number of clips, the config sections `model` and `mask`, and the torch.Generator to draw from,
    on the CPU; `VideoMask.hiding(masked, tubes)` makes a mask of the indices of masked tubes.

    name: the kind's. count: (model, mask) -> how many tubes of a clip it masks, the same for all clips, from 0 to
    model.tubes - 1; costs are counted with it, without torch.
    """

    def register(made: _Made) -> _Made:
        _add("mask", name, Mask(made, count), made)
        return made

    return register


def register_corpus(kind: str, *, options: Sequence[str] = (), is_file: bool = False) -> Callable[[_Made], _Made]:
    """Add a kind of corpus, data.pretrain=KIND:PLACE: a function (spec, split) -> (records, root).

    The function gets a `simvtp.data.corpora.spec.CorpusSpec` and "pretrain", "train", "val" or "test", and gives
    `simvtp.data.annotations.records.Record`s and the folder that their files count from. It raises DataError, which
    names the file, where something is wrong.

    kind: the word before the colon. options: that the name may carry, KIND:PLACE?option=value. is_file: its place is a
    file, not a folder.
    """

    def register(made: _Made) -> _Made:
        _add("corpus", kind, CorpusKind(made, tuple(options), is_file), made)
        return made

    return register


def register_evaluator(name: str) -> Callable[[_Made], _Made]:
    """Add an evaluation, evaluate.NAME=true: a function of an `EncodedGallery` that gives numbers by name.

    name: result.json holds the numbers under evaluators.NAME.
    """
    return lambda made: _register("evaluator", name, made, False, "")


def register_augmentation(name: str) -> Callable[[_Made], _Made]:
    """Add an augmentation of training clips, pretrain.NAME=CHANCE and finetune.NAME=CHANCE.

    A function (clip, random) -> clip: uint8 [T, H, W, 3] in and out, the given one left as it is, and a
    numpy.random.Generator of its own for each sample of each epoch. It comes after flip and erasing.

    name: of the config fields, which are the share of clips that it changes.
    """
    return lambda made: _register("augmentation", name, made, 0.0, "[0, 1]")


def _register(kind: Kind, name: str, made: _Made, off: bool | float, within: str) -> _Made:
    """Add an extension that a config field switches on, and the fields of its options."""
    options: tuple[str, ...] = ()
    if isinstance(made, type):
        if not dataclasses.is_dataclass(made):
            raise ConfigError(f"{kind} {name}: the class {made.__name__} must be a dataclass (@dataclass(frozen=True))")
        options = tuple(field.name for field in dataclasses.fields(made))
    _add(kind, name, made, made, options)
    meaning = ((made.__doc__ or "").strip().splitlines() or [f"{kind} {name}"])[0].rstrip(".")
    for section in SECTIONS[kind]:
        path = f"{section}.{name}"
        axis = f"weight of {name}" if kind == "objective" else ""
        for old in [old for old in FIELDS if f"{old}.".startswith(f"{path}.")]:  # a module that is imported anew
            del FIELDS[old]
        FIELDS[path] = extension_field(path, off, meaning=meaning, within=within, axis=axis, in_id=IDS[section])
        if options:
            FIELDS.update(section_fields(path, made, in_id=IDS[section]))  # type: ignore[arg-type]
    return made


def _add(kind: Kind, name: str, extension: Any, decorated: Callable[..., Any], options: tuple[str, ...] = ()) -> None:
    if not name.isidentifier() or name != name.lower():
        raise ConfigError(f"{kind} {name!r}: a name takes small letters, digits and _")
    _check_call(kind, name, decorated)
    plugin = Plugin.of_module(sys.modules[decorated.__module__])
    for section in SECTIONS[kind]:
        path = f"{section}.{name}"
        before = EXTENSIONS.get(path)
        if name in _built_in(kind, section) or (before is not None and before.plugin.place != plugin.place):
            whose = f"the plugin {before.plugin.place}" if before is not None else "the framework itself"
            raise ConfigError(f"{kind} {name}: {plugin.place} registers a name that {whose} has; take another")
        if before is not None and before.origin != decorated.__qualname__:
            raise ConfigError(
                f"{kind} {name}: {plugin.place} registers it twice, as {before.origin} and {decorated.__qualname__}"
            )
        EXTENSIONS[path] = Extension(kind, name, extension, plugin, decorated.__qualname__, options)


def _check_call(kind: Kind, name: str, decorated: Callable[..., Any]) -> None:
    """Raise ConfigError where what was decorated cannot be called with the arguments of its kind."""
    method, given = "loss" if kind == "objective" else "__call__", CALLED_WITH[kind]
    if isinstance(decorated, type):
        called = next((vars(base)[method] for base in decorated.__mro__ if method in vars(base)), None)
        given = ("self", *given)
    else:
        called = decorated
    try:
        inspect.signature(called).bind(*given)  # type: ignore[arg-type]
    except TypeError:
        takes = inspect.signature(called) if callable(called) else "()"
        raise ConfigError(f"{kind} {name}: it is called with ({', '.join(given)}), and takes {takes}") from None


def _built_in(kind: Kind, section: str) -> Collection[str]:
    from simvtp.config.schema import OWN_FIELDS  # the schema imports this module

    if kind == "mask":
        return tuple(OWN_FIELDS["mask.kind"].choices)
    return [path.partition(".")[2] for path in OWN_FIELDS if path.startswith(f"{section}.")]
