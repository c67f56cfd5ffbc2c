"""The config of a run: frozen, validated and fully resolved. Each field is defined here once.

To add a field, add one `setting` here: its validation, its line of `python -m simvtp.config show base`, its part in the
ids, and its labels in sweeps and tables follow from it. The machine section is in `simvtp/config/machine.py`, that of
the two training stages in `simvtp/config/optimisation.py`, checks that need several fields in
`simvtp/config/checks.py`, values of the presets in `simvtp/config/presets.py`.

A source that begins with SimVTP is what the released code does, measured (docs/exactness.md); own: it is our choice.
"""

from __future__ import annotations

import operator
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from simvtp.config import formats
from simvtp.config.checks import check
from simvtp.config.fields import BOTH, PRETRAIN, RUN, Field, fields_of, normalised, setting
from simvtp.config.machine import Machine
from simvtp.config.optimisation import OWN, Optimisation
from simvtp.config.plugins import registry, usage
from simvtp.config.plugins.source import normal_record
from simvtp.errors import ConfigError, nearest, quoted

_INPUT = "SimVTP: input and tubes"


def _on(objective: str) -> Callable[[Config], bool]:
    """Whether pre-training has this objective."""
    return lambda config: getattr(config.objective, objective) > 0


def _decodes(config: Config) -> bool:
    """Whether pre-training has a decoder: of pixels, or of the words that are dropped."""
    return config.objective.mvm > 0 or (config.objective.mlm > 0 and config.mask.words == "dropped")


def _of_decoder(meaning: str) -> Any:
    return setting(meaning, within="[1, inf)", axis=meaning, in_id=(PRETRAIN,), pretrain_if=_decodes,
                   source="SimVTP: pixel decoder")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Model:
    frames: int = setting("frames of a clip", within="[1, inf)", source=_INPUT)
    size: int = setting("height and width of a frame, pixels", within="[1, inf)", source=_INPUT)
    tube_frames: int = setting("frames a tube spans", within="[1, inf)", source=_INPUT)
    patch: int = setting("height and width of a tube, pixels", within="[1, inf)", source=_INPUT)
    width: int = setting("encoder width", within="[1, inf)")
    depth: int = setting("encoder layers", within="[1, inf)")
    heads: int = setting("encoder attention heads", within="[1, inf)")
    decoder_width: int = _of_decoder("pixel decoder width")
    decoder_depth: int = _of_decoder("pixel decoder layers")
    decoder_heads: int = _of_decoder("pixel decoder attention heads")
    words: int = setting("longest caption in tokens, with [CLS] and [SEP]; longer ones are cut", within="[3, 512]",
                         source="own: 32, SimVTP cuts at 512")  # fmt: skip
    dropout: float = setting("dropout of the text embedding, as in BERT", within="[0, 1)", source="BERT")
    towers: Literal["separate", "shared"] = setting(
        "encoders of fine-tuning: separate, or one shared by video and text (half the size)", "separate",
        in_id=(RUN,), source="SimVTP: two encoders, both from the pre-trained one")  # fmt: skip
    pooled_norm: Literal["copied", "fresh"] = setting(
        "norm behind the mean over tokens, where fine-tuning starts: copied from pre-training, or fresh", "copied",
        in_id=(RUN,), source="SimVTP: fresh")  # fmt: skip
    text_mean: Literal["words", "padded"] = setting(
        "mean over a sequence's tokens: of words alone, or with [PAD] (features then depend on the batch)", "words",
        pretrain_if=lambda config: config.objective.vtc > 0 or config.objective.vtm > 0,
        source="own: words alone, SimVTP counts [PAD] in")  # fmt: skip
    init: str = setting(
        "weights to start from: checkpoints of VideoMAE, SimVTP, BERT or this project, joined by +; empty: random", "",
        source="own: random; SimVTP starts from VideoMAE (ViT-B, Kinetics-400) and BERT: name their files")  # fmt: skip
    positions: str = setting(
        "grid of tubes, such as 8x14x14, whose fixed positions are stretched over the model's; empty: its own", "",
        form=formats.grid, source="SimVTP: its own")  # fmt: skip
    position_encoding: Literal["sine", "factorised"] = setting(
        "fixed positions of tubes: sine (1-D, as in VideoMAE) or factorised (time, row and column apart)", "sine",
        source="SimVTP: sine, as in VideoMAE")  # fmt: skip

    @property
    def slots(self) -> int:
        """Tubes along time."""
        return self.frames // self.tube_frames

    @property
    def cells(self) -> int:
        """Tubes of one time slot."""
        return (self.size // self.patch) ** 2

    @property
    def tubes(self) -> int:
        return self.slots * self.cells

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tubes along time, height and width."""
        return self.slots, self.size // self.patch, self.size // self.patch


@dataclass(frozen=True, kw_only=True)
class Mask:
    video: float = setting("share of tubes masked in pre-training, [0, 1)", within="[0, 1)", unit="share",
                           axis="video mask ratio", source="SimVTP: best video ratio")  # fmt: skip
    text: float = setting("share of words masked in pre-training, [0, 1)", within="[0, 1)", unit="share",
                          axis="text mask ratio", source="SimVTP: best text ratio (BERT: 0.15)")  # fmt: skip
    kind: Literal["tube", "frame", "random"] = setting(
        "tube (one spatial mask for all slots), frame (whole slots), random, or that of a plugin",
        source="SimVTP: tube masking, as in VideoMAE", is_open=True)  # fmt: skip
    words: Literal["kept", "dropped"] = setting(
        "masked words: kept as [MASK], or dropped as tubes are and predicted by a word decoder", "kept",
        source="SimVTP: always [MASK], kept in the sequence")  # fmt: skip
    decoded: float = setting(
        "share of masked tubes that are decoded, (0, 1], in running cells: saves compute", 1.0, within="(0, 1]",
        unit="share", axis="decoded share of masked tubes", source="SimVTP: all masked tubes",
        pretrain_if=_on("mvm"))  # fmt: skip


def _weight(of: str, short: str) -> Any:
    source = "SimVTP: the sum of four, weight 1 each"
    return setting(f"weight of {of}; 0 or false: off", within="[0, inf)", axis=f"weight of {short}", source=source)


@dataclass(frozen=True, kw_only=True)
class Objective:
    mvm: float = _weight("masked video modelling", "MVM")
    mlm: float = _weight("masked language modelling", "MLM")
    vtc: float = _weight("video-text contrast", "VTC")
    vtm: float = _weight("video-text matching", "VTM")
    temperature: float = setting(
        "temperature of the contrast, in pre-training and fine-tuning", within="(0, inf)",
        axis="temperature of the contrast", source="SimVTP: fixed at 0.05", in_id=BOTH,
        pretrain_if=_on("vtc"))  # fmt: skip
    learn_temperature: bool = setting(
        "temperature is only where a learned one starts, as in CLIP", False, source="SimVTP: fixed", in_id=BOTH,
        pretrain_if=_on("vtc"))  # fmt: skip
    contrast: Literal["masked", "clean"] = setting(
        "inputs of the contrast: masked (cheap) or clean (as at retrieval, at full cost)", "masked",
        source="SimVTP: both passes on masked inputs", pretrain_if=_on("vtc"))  # fmt: skip
    negatives: Literal["random", "hard"] = setting(
        "mismatched videos of matching: random, or hard (drawn by similarity, as in ALBEF)", "random",
        source="SimVTP: one random other video a text", pretrain_if=_on("vtm"))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Data:
    pretrain: str = setting(
        "pre-training corpus, kind:place, such as sprites:tiny or webvid:ROOT", in_id=(PRETRAIN,),
        source="SimVTP: WebVid-2M; you name its folder")  # fmt: skip
    finetune: str = setting(
        "fine-tuning, validation and test corpus, kind:place, such as msrvtt:ROOT", in_id=(RUN,),
        source="SimVTP: MSR-VTT; you name its folder")  # fmt: skip
    tokenizer: str = setting("corpus (the vocabulary beside it), a vocab.txt, a folder, or a hub name",
                             source="SimVTP: BERT-base uncased")  # fmt: skip
    fraction: float = setting(
        "share of the pre-training videos, (0, 1]; nested by hash of the video id", within="(0, 1]", unit="share",
        label="data", axis="share of the pre-training videos", log=True, in_id=(PRETRAIN,),
        source="SimVTP: all of WebVid-2M")  # fmt: skip
    stride: int = setting("frames from one sampled frame to the next in pre-training", within="[1, inf)",
                          in_id=(PRETRAIN,), source="SimVTP: 16 frames, stride 4")  # fmt: skip
    finetune_stride: int = setting(
        "frames from one sampled frame to the next in fine-tuning and at test; 0: spread over the whole video", 0,
        within="[0, inf)", in_id=(RUN,), source="SimVTP: a dense window, stride 4")  # fmt: skip
    short: Literal["stride", "repeat"] = setting(
        "where a video is shorter than a dense window: stride (a smaller one) or repeat (the last frame)", "stride",
        source="SimVTP: repeats the last frame")  # fmt: skip
    captions: Literal["random", "first"] = setting(
        "caption of a training video: random (another one each epoch) or first (always the same)", "random",
        source="own: random, SimVTP has one fixed caption a video")  # fmt: skip
    reader: Literal["auto", "pyav", "decord", "torchcodec"] = setting(
        "library that reads video files: auto (pyav, then decord), pyav, decord or torchcodec", "auto",
        source="own: PyAV, SimVTP reads with decord")  # fmt: skip
    decode_seconds: float = setting(
        "longest time that opening or reading one video may take", 60.0, within="(0, inf)", in_id=())  # fmt: skip
    skip: str = setting("list of training videos to leave out, as simvtp.data.check writes it; empty: none", "")
    failures: float = setting(
        "share of the training videos that may be broken; above it training stops", 0.01, within="[0, 1]", unit="share",
        in_id=(), source="own: 1%, SimVTP replaces any number")  # fmt: skip
    missing: Literal["error", "miss"] = setting(
        "a test video that is missing or broken: error, or miss (it counts as not found)", "error", in_id=(RUN,),
        source="own: an error, SimVTP tests another video in its place")  # fmt: skip
    order: Literal["shuffled", "shards", "lengths"] = setting(
        "of training videos: shuffled, shards (of a corpus shards:DIR; eight at a time, shuffled among them), or "
        "lengths (batches of captions of like length: less padding, but other pairs are contrasted)",
        "shuffled", source="SimVTP: shuffled")  # fmt: skip
    queries: Literal["caption", "paragraph"] = setting(
        "query for a video: caption (each by itself) or paragraph (all captions joined)", "caption", in_id=(RUN,),
        source="SimVTP: each caption by itself")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    segments: int = setting("clips per video at test; their features are averaged", within="[1, inf)")
    crops: Literal[1, 3] = setting("square crops per clip at test, 1 (centre) or 3 (along the long side)")
    every: int = setting(
        "epochs of fine-tuning from one validation to the next; the best is kept", within="[1, inf)",
        source="own: on the validation split, SimVTP keeps the best of all epochs on the test set")  # fmt: skip
    average: Literal["unit", "raw"] = setting(
        "how the features of a video's clips are averaged: as unit vectors, or raw", "unit",
        source="SimVTP: raw")  # fmt: skip
    dual_softmax: bool = setting("also score with all test queries known at once, in a column of its own", False,
                                 source="SimVTP: plain similarity")  # fmt: skip
    rerank: int = setting("also re-rank so many best candidates by the matching head, in a column of its own", 0,
                          within="[0, inf)", source="SimVTP: plain similarity")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Config:
    """The config of one run with one seed. in_id, source: of the fields of a section that state none themselves."""

    model: Model = field(metadata={"in_id": BOTH, "source": "SimVTP: ViT-B, as in VideoMAE"})
    mask: Mask = field(metadata={"in_id": (PRETRAIN,), "source": ""})
    objective: Objective = field(metadata={"in_id": (PRETRAIN,), "source": ""})
    data: Data = field(metadata={"in_id": BOTH, "source": OWN})
    pretrain: Optimisation = field(metadata={"in_id": (PRETRAIN,), "source": "SimVTP: WebVid-2M recipe"})
    finetune: Optimisation = field(metadata={"in_id": (RUN,), "source": "SimVTP: MSR-VTT recipe"})
    evaluate: Evaluate = field(metadata={"in_id": (RUN,), "source": "SimVTP: 3 segments x 3 crops"})
    machine: Machine = field(metadata={"in_id": (), "source": "the machine"})
    seed: int = setting("seed of weights, order, masks and crops", within="[0, 9223372036854775808)",
                        source="SimVTP: 0")  # fmt: skip
    tag: str = setting("a name that sets runs apart that are equal otherwise, such as those of other code", "")
    plugins: str = setting("plugins that the other fields use, with digests; filled in by what --plugin loads", "",
                           form=normal_record, in_id=())  # fmt: skip
    extra: usage.Extra = ()  # fields that plugins add (simvtp/config/plugins/usage.py)

    def __post_init__(self) -> None:
        """Every value in its one spelling; raises ConfigError for the first that cannot be run."""
        for name, value in normalised(OWN_FIELDS.values(), _values(self), self).items():
            object.__setattr__(self, name, value)
        for name, value in usage.settle(self, OWN_FIELDS["mask.kind"].choices).items():
            object.__setattr__(self, name, value)
        check(self)

    @property
    def is_pretrained(self) -> bool:
        """Whether the run has a pre-training stage at all."""
        return formats.steps_of(self.pretrain.length, 1_000_000) > 0


OWN_FIELDS: dict[str, Field] = fields_of(Config)
FIELDS: Mapping[str, Field] = ChainMap(registry.FIELDS, OWN_FIELDS)  # with those of the plugins that are loaded
_SECTIONS = {"model": Model, "mask": Mask, "objective": Objective, "data": Data, "pretrain": Optimisation,
             "finetune": Optimisation, "evaluate": Evaluate, "machine": Machine}  # fmt: skip
LATER: Mapping[str, Any] = {path: own.default for path, own in OWN_FIELDS.items() if own.is_later}
_values = operator.attrgetter(*OWN_FIELDS)

# Fields of older versions -> what to do instead. Configs on disk may name them: they changed nothing beyond rounding.
REMOVED = {
    "machine.products": "matrix products are PyTorch's own; leave it out",
    "machine.recompute": "machine.checkpointing=true saves memory",
}


class Flat(dict[str, Any]):
    """A flat config. Fields of plugins are not listed where they are off, and then have their default all the same."""

    def __missing__(self, key: str) -> Any:
        return registry.FIELDS[key].default


def flatten(config: Config) -> Flat:
    """Config -> {"mask.video": 0.9, ...}, in the order of the definition, fields of plugins last."""
    return Flat([*zip(OWN_FIELDS, _values(config), strict=True), *config.extra])


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """A flat config from disk, whole or in part, with fields that came later and without removed ones."""
    return {**LATER, **{key: value for key, value in values.items() if key not in REMOVED}}


def unflatten(values: Mapping[str, Any]) -> Config:
    """The inverse of `flatten`; raises ConfigError where a key is missing or unknown."""
    values = completed(values)
    extra = tuple((key, values.pop(key)) for key in sorted(values.keys() - OWN_FIELDS.keys()) if usage.is_extra(key))
    for key in values.keys() ^ OWN_FIELDS.keys():
        raise ConfigError(f"not a config of this version: {quoted(key)} is {'unknown' if key in values else 'missing'}")
    parts: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {name: {} for name in _SECTIONS}
    for path, own in OWN_FIELDS.items():
        (sections[own.section] if own.section else parts)[own.name] = values[path]
    return Config(**{name: kind(**sections[name]) for name, kind in _SECTIONS.items()}, **parts, extra=extra)


def unknown(key: str, known: Iterable[str]) -> ConfigError:
    """The error for a key that is none of the known ones."""
    hint = f"; if it is a field of a plugin, {usage.LOAD}" if usage.is_extra(key) else ""
    return ConfigError(f"unknown config key {quoted(key)}{nearest(key, known)}{hint}")


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """A new config with `changes` ({"mask.video": 0.5} or text as typed) applied; raises ConfigError."""
    values = flatten(config)
    known = {*FIELDS, *values}
    for key, value in changes.items():
        if key in REMOVED:
            raise ConfigError(f"{key} is no field of this version: {REMOVED[key]}")
        if key not in known and not (changes.get("plugins") and usage.is_extra(key)):
            raise unknown(key, known)
        values[key] = value
    return unflatten(values)
