"""One frozen, validated, fully resolved description of a run: each field with all that is known of it.

To add a field, add one `setting` here: its validation, its line of `python -m simvtp.config show base`, its part in the
ids, and its labels in sweeps and tables follow from it. Checks that need several fields are in
`simvtp/config/checks.py`, values of the presets in `simvtp/config/presets.py`.
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
from simvtp.config.plugins import registry, usage
from simvtp.config.plugins.record import normal_record
from simvtp.errors import ConfigError, nearest

_OWN = "own: the recipe names none"
_INPUT = "SimVTP: input and tubes"
_FINETUNED_ONLY = {"pretrain": "SimVTP: in fine-tuning only"}


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
                         source=_OWN)  # fmt: skip
    dropout: float = setting("dropout of the text embedding, as in BERT", within="[0, 1)", source="BERT")
    towers: Literal["separate", "shared"] = setting(
        "encoders of fine-tuning: separate, or one shared by video and text (half the size)", "separate",
        in_id=(RUN,), source="SimVTP: two encoders, both from the pre-trained one")  # fmt: skip
    init: str = setting(
        "weights to start from: checkpoints of VideoMAE, SimVTP, BERT or this project, joined by +; empty: random", "",
        source="own: random; SimVTP starts from VideoMAE (ViT-B, Kinetics-400) and BERT: name their files")  # fmt: skip
    positions: str = setting(
        "grid of tubes, such as 8x14x14, whose fixed positions are stretched over the model's; empty: its own", "",
        form=formats.grid, source="SimVTP: its own")  # fmt: skip

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
        "inputs of the contrast: masked (cheap) or clean (as at retrieval, full price)", "masked",
        source="SimVTP: both passes on masked inputs", pretrain_if=_on("vtc"))  # fmt: skip
    negatives: Literal["random", "hard"] = setting(
        "mismatched videos of matching: random, or hard (drawn by similarity, as in ALBEF)", "random",
        source="SimVTP: one random other video a text", pretrain_if=_on("vtm"))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Data:
    pretrain: str = setting(
        "pre-training corpus, kind:place, such as sprites:tiny or webvid:ROOT", in_id=(PRETRAIN,),
        source="SimVTP: WebVid-2M; the folder is yours to name")  # fmt: skip
    finetune: str = setting(
        "fine-tuning, validation and test corpus, kind:place, such as msrvtt:ROOT", in_id=(RUN,),
        source="SimVTP: MSR-VTT; the folder is yours to name")  # fmt: skip
    tokenizer: str = setting("corpus (the vocabulary beside it), a vocab.txt, a folder, or a hub name",
                             source="SimVTP: BERT-base uncased")  # fmt: skip
    fraction: float = setting(
        "share of the pre-training videos, (0, 1]; nested by hash of the video id", within="(0, 1]", unit="share",
        label="data", axis="share of the pre-training videos", log=True, in_id=(PRETRAIN,),
        source="SimVTP: all of WebVid-2M")  # fmt: skip
    stride: int = setting("frames from one sampled frame to the next in pre-training", within="[1, inf)",
                          in_id=(PRETRAIN,), source="SimVTP: 16 frames, stride 4")  # fmt: skip
    reader: Literal["auto", "pyav", "decord", "torchcodec"] = setting(
        "who reads video files: auto (pyav, then decord), pyav, decord or torchcodec", "auto")  # fmt: skip
    decode_seconds: float = setting(
        "longest time that opening or reading one video may take", 60.0, within="(0, inf)", in_id=())  # fmt: skip
    skip: str = setting("list of training videos to leave out, as simvtp.data.check writes it; empty: none", "")
    failures: float = setting(
        "share of the training videos that may be broken; above it training stops", 0.01, within="[0, 1]", unit="share",
        in_id=())  # fmt: skip
    missing: Literal["error", "miss"] = setting(
        "a test video that is missing or broken: error, or miss (it counts as not found)", "error", in_id=(RUN,)
    )
    order: Literal["shuffled", "shards", "lengths"] = setting(
        "of training videos: shuffled, shards (of a corpus shards:DIR; eight at a time, shuffled among them), or "
        "lengths (batches of captions of like length: less padding, but it chooses who is contrasted with whom)",
        "shuffled",
    )
    queries: Literal["caption", "paragraph"] = setting(
        "what finds a video: caption (each by itself) or paragraph (all captions joined)", "caption", in_id=(RUN,),
        source="SimVTP: each caption by itself")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """Of one stage. Learning rates are for a batch of 256 and scale with the batch."""

    length: str = setting('how long, such as "600 steps" or "200 epochs"; "0 steps" leaves the stage out',
                          form=formats.length)  # fmt: skip
    warmup: str = setting('linear warm-up from lr_start, such as "30 steps" or "5 epochs"', form=formats.length)
    batch: int = setting("samples a step, over all processes", within="[2, inf)")
    accumulate: int = setting("parts a batch is computed in, to save memory; VTC and VTM see one part",
                              within="[1, inf)",
                              source="own: one part (the contrast sees one at a time)")  # fmt: skip
    lr: float = setting("peak learning rate for a batch of 256", within="[0, inf)", unit="rate", axis="learning rate")
    lr_start: float = setting("learning rate at the first step, not scaled", within="[0, inf)", unit="rate",
                              source={"finetune": _OWN})  # fmt: skip
    lr_end: float = setting("learning rate at the last step for a batch of 256", within="[0, inf)", unit="rate",
                            source={"finetune": "SimVTP: MSR-VTT recipe, 1e-6 at batch 64"})  # fmt: skip
    beta1: float = setting("AdamW beta1", within="[0, 1)")
    beta2: float = setting("AdamW beta2", within="[0, 1)")
    weight_decay: float = setting("AdamW weight decay; biases, norms and single vectors have none", within="[0, inf)")
    layer_decay: float = setting(
        "factor on the learning rate from a layer to the one below it; 1: none",
        within="(0, 1]",
        source=_FINETUNED_ONLY,
        pretrain_if=lambda _: False,
    )  # fmt: skip  (one rate for all layers)
    drop_path: float = setting("stochastic depth of the last layer, rising linearly from 0", within="[0, 1)",
                               source=_FINETUNED_ONLY)  # fmt: skip
    crop: Literal["none", "multiscale", "resized"] = setting(
        "none (resize, centre), multiscale or resized (random resized crop)")  # fmt: skip
    precision: Literal["fp32", "bf16"] = setting("fp32 or bf16 (autocast; weights stay fp32)", source=_OWN)
    rand_augment: str = setting("RandAugment of training clips, magnitude and number, such as m7-n4; empty: none", "",
                                form=formats.rand_augment, source=_FINETUNED_ONLY)  # fmt: skip
    flip: Literal["none", "safe", "all"] = setting(
        "mirror half of the clips: none, safe (not where a caption names a side) or all", "none",
        source=_FINETUNED_ONLY | {"finetune": "SimVTP: MSR-VTT recipe flips all; here safe"})  # fmt: skip
    erasing: float = setting("chance that a box of a training clip is filled with noise", 0.0, within="[0, 1]",
                             source=_FINETUNED_ONLY)  # fmt: skip
    ema: float = setting("decay of a moving average of the weights, which the stage then gives; 0: none", 0.0,
                         within="[0, 1)", source=_OWN)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    segments: int = setting("clips per video at test; their features are averaged", within="[1, inf)")
    crops: Literal[1, 3] = setting("square crops per clip at test, 1 (centre) or 3 (along the long side)")
    every: int = setting("epochs of fine-tuning from one validation to the next; the best is kept", within="[1, inf)",
                         source=_OWN)  # fmt: skip
    dual_softmax: bool = setting("also score with all test queries known at once, in a column of its own", False,
                                 source="SimVTP: plain similarity")  # fmt: skip
    rerank: int = setting("also re-rank so many best candidates by the matching head, in a column of its own", 0,
                          within="[0, inf)", source="SimVTP: plain similarity")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How a run is carried out; nothing here changes its outcome beyond rounding, so no id contains it."""

    device: Literal["auto", "cpu", "cuda"] = setting("auto (CUDA where there is one), cpu or cuda")
    threads: int = setting("CPU threads of a process; 0: torch's choice", within="[0, inf)")
    workers: int = setting("processes that decode and augment; 0: in the training process", within="[0, inf)")
    checkpoint_seconds: float = setting("longest time from one checkpoint to the next", within="(0, inf)")
    frame_cache: bool = setting("keep decoded frames of the embedded corpus in the cache folder")
    shard: bool = setting("share weights and optimiser out over the processes (FSDP), for models too large", False)
    checkpointing: bool = setting("recompute layers in the backward pass: less memory, a third more work", False)
    compile: bool = setting("torch.compile every layer", False)
    varlen_attention: bool = setting("encoders attend by Flash Attention's kernel for sequences of any length, without "
                                     "masks (a GPU and bf16)", False)  # fmt: skip
    stream: str = setting("folder on a fast disk to which data.order=shards copies shards ahead; empty: none", "")
    other_code: Literal["refuse", "reuse", "redo"] = setting(
        "results and checkpoints of other code: refuse, reuse or redo them", "refuse")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Config:
    """in_id and source: of the fields of a section that state none themselves."""

    model: Model = field(metadata={"in_id": BOTH, "source": "SimVTP: ViT-B, as in VideoMAE"})
    mask: Mask = field(metadata={"in_id": (PRETRAIN,), "source": ""})
    objective: Objective = field(metadata={"in_id": (PRETRAIN,), "source": ""})
    data: Data = field(metadata={"in_id": BOTH, "source": _OWN})
    pretrain: Optimisation = field(metadata={"in_id": (PRETRAIN,), "source": "SimVTP: WebVid-2M recipe"})
    finetune: Optimisation = field(metadata={"in_id": (RUN,), "source": "SimVTP: MSR-VTT recipe"})
    evaluate: Evaluate = field(metadata={"in_id": (RUN,), "source": "SimVTP: 3 segments x 3 crops"})
    machine: Machine = field(metadata={"in_id": (), "source": "the machine"})
    seed: int = setting("seed of weights, order, masks and crops", within="[0, 9223372036854775808)", source=_OWN)
    tag: str = setting("a name that sets runs apart that are equal otherwise, such as those of other code", "")
    plugins: str = setting("plugins that the other fields use, with digests; filled in by what --plugin loads", "",
                           form=normal_record, in_id=())  # fmt: skip
    extra: usage.Extra = ()  # fields that plugins add (simvtp/config/plugins/usage.py)

    def __post_init__(self) -> None:
        """Every value in its one spelling; raises ConfigError for the first that cannot be run."""
        for name, value in normalised(OWN_FIELDS.values(), _values(self), self).items():
            object.__setattr__(self, name, value)
        extra, plugins = usage.settle(self, OWN_FIELDS["mask.kind"].choices)
        object.__setattr__(self, "extra", extra)
        object.__setattr__(self, "plugins", plugins)
        check(self)

    @property
    def is_pretrained(self) -> bool:
        """Whether the run has a pre-training stage at all."""
        return formats.steps_of(self.pretrain.length, 1_000_000) > 0


OWN_FIELDS: dict[str, Field] = fields_of(Config)
FIELDS: Mapping[str, Field] = ChainMap(registry.FIELDS, OWN_FIELDS)  # with those of the plugins that are loaded
_SECTIONS = {"model": Model, "mask": Mask, "objective": Objective, "data": Data, "pretrain": Optimisation,
             "finetune": Optimisation, "evaluate": Evaluate, "machine": Machine}  # fmt: skip
LATER: Mapping[str, Any] = {path: found.default for path, found in OWN_FIELDS.items() if found.is_later}
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
        raise ConfigError(f"not a config of this version: {key} is {'unknown' if key in values else 'missing'}")
    parts: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {name: {} for name in _SECTIONS}
    for path, found in OWN_FIELDS.items():
        (sections[found.section] if found.section else parts)[found.name] = values[path]
    return Config(**{name: kind(**sections[name]) for name, kind in _SECTIONS.items()}, **parts, extra=extra)


def unknown(key: str, known: Iterable[str]) -> ConfigError:
    """The error for a key that is none of the known ones."""
    hint = f"; a plugin's: {usage.LOAD}" if usage.is_extra(key) else ""
    return ConfigError(f"unknown config key {key!r}{nearest(key, known)}{hint}")


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """A new config with `changes` ({"mask.video": 0.5} or text as typed) applied and validated."""
    values = flatten(config)
    known = {*FIELDS, *values}
    for key, value in changes.items():
        if key in REMOVED:
            raise ConfigError(f"{key} is no field of this version: {REMOVED[key]}")
        if key not in known and not (changes.get("plugins") and usage.is_extra(key)):
            raise unknown(key, known)
        values[key] = value
    return unflatten(values)
