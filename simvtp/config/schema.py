"""One frozen, validated, fully resolved description of a run.

A field is named on the command line by its path, `--set mask.video=0.75`; `python -m simvtp.config show base`
prints every field of a preset with its meaning. Values live in `simvtp/config/presets.py`.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simvtp.config.validation import validate
from simvtp.errors import ConfigError, nearest


def setting(meaning: str, default: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that carries its meaning for `show` and error messages.

    A field that came later has a default: what the code did before the field was there. Configs on disk that lack the
    field mean that value, presets need not name it, and at that value it is not part of any id, so a new axis leaves
    all that was trained before it valid.
    """
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, kw_only=True)
class Model:
    frames: int = setting("frames of a clip")
    size: int = setting("height and width of a frame, pixels")
    tube_frames: int = setting("frames a tube spans")
    patch: int = setting("height and width of a tube, pixels")
    width: int = setting("encoder width")
    depth: int = setting("encoder layers")
    heads: int = setting("encoder attention heads")
    decoder_width: int = setting("pixel decoder width")
    decoder_depth: int = setting("pixel decoder layers")
    decoder_heads: int = setting("pixel decoder attention heads")
    words: int = setting("longest caption in tokens, [CLS] and [SEP] included; longer ones are cut")
    dropout: float = setting("dropout of the text embedding, as in BERT")
    towers: str = setting(
        "encoders of fine-tuning: separate, or one shared by video and text (half the size)", "separate"
    )

    init: str = setting(
        "weights to start from: checkpoints of VideoMAE, SimVTP, BERT or this project, joined by +; empty: random", ""
    )
    positions: str = setting(
        "grid of tubes, such as 8x14x14, whose fixed positions are stretched over the model's; empty: its own", ""
    )

    @property
    def slots(self) -> int:
        """Time slots: tubes along time."""
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
    video: float = setting("share of tubes masked in pre-training, [0, 1)")
    text: float = setting("share of words masked in pre-training, [0, 1)")
    kind: str = setting("tube (one spatial mask for all slots), frame (whole slots) or random")
    words: str = setting("masked words: kept as [MASK], or dropped as tubes are and told by a word decoder", "kept")
    decoded: float = setting("share of masked tubes that are decoded, (0, 1], in running cells: saves compute", 1.0)


@dataclass(frozen=True, kw_only=True)
class Objective:
    mvm: float = setting("weight of masked video modelling; 0 or false: off")
    mlm: float = setting("weight of masked language modelling; 0 or false: off")
    vtc: float = setting("weight of video-text contrast; 0 or false: off")
    vtm: float = setting("weight of video-text matching; 0 or false: off")
    temperature: float = setting("temperature of the contrast, in pre-training and fine-tuning")
    learn_temperature: bool = setting("temperature is only where a learned one starts, as in CLIP", False)
    contrast: str = setting("inputs of the contrast: masked (cheap) or clean (as at retrieval, full price)", "masked")
    negatives: str = setting(
        "mismatched videos of matching: random, or hard (drawn by similarity, as in ALBEF)", "random"
    )


@dataclass(frozen=True, kw_only=True)
class Data:
    pretrain: str = setting("pre-training corpus, kind:place, such as sprites:tiny or webvid:ROOT")
    finetune: str = setting("fine-tuning, validation and test corpus, kind:place, such as msrvtt:ROOT")
    tokenizer: str = setting("corpus (the vocabulary beside it), a vocab.txt, a folder, or a hub name")
    fraction: float = setting("share of the pre-training videos, (0, 1]; nested by hash of the video id")
    stride: int = setting("frames from one sampled frame to the next in pre-training")
    reader: str = setting("who reads video files: auto (pyav, then decord), pyav, decord or torchcodec", "auto")
    decode_seconds: float = setting("longest time that opening or reading one video may take", 60.0)
    skip: str = setting("list of training videos to leave out, as simvtp.data.check writes it; empty: none", "")
    failures: float = setting("share of the training videos that may be broken; above it training stops", 0.01)
    missing: str = setting("a test video that is missing or broken: error, or miss (it counts as not found)", "error")
    order: str = setting(
        "of training videos: shuffled, shards (of a corpus shards:DIR; eight at a time, shuffled among them), or "
        "lengths (batches of captions of like length: less padding, but it chooses who is contrasted with whom)",
        "shuffled",
    )
    queries: str = setting("what finds a video: caption (each by itself) or paragraph (all captions joined)", "caption")


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """Of one stage. Learning rates are for a batch of 256 and scale with the batch."""

    length: str = setting('how long, such as "600 steps" or "200 epochs"; "0 steps" leaves the stage out')
    warmup: str = setting('linear warm-up from lr_start, such as "30 steps" or "5 epochs"')
    batch: int = setting("samples a step, over all processes")
    accumulate: int = setting("parts a batch is computed in, to save memory; VTC and VTM see one part")
    lr: float = setting("peak learning rate for a batch of 256")
    lr_start: float = setting("learning rate at the first step, not scaled")
    lr_end: float = setting("learning rate at the last step for a batch of 256")
    beta1: float = setting("AdamW beta1")
    beta2: float = setting("AdamW beta2")
    weight_decay: float = setting("AdamW weight decay; biases, norms and single vectors have none")
    layer_decay: float = setting("factor on the learning rate from a layer to the one below it; 1: none")
    drop_path: float = setting("stochastic depth of the last layer, rising linearly from 0")
    crop: str = setting("none (resize, centre), multiscale or resized (random resized crop)")
    precision: str = setting("fp32 or bf16 (autocast; weights stay fp32)")
    rand_augment: str = setting("RandAugment of training clips, magnitude and number, such as m7-n4; empty: none", "")
    flip: str = setting("mirror half of the clips: none, safe (not where a caption names a side) or all", "none")
    erasing: float = setting("chance that a box of a training clip is filled with noise", 0.0)
    ema: float = setting("decay of a moving average of the weights, which the stage then gives; 0: none", 0.0)


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    segments: int = setting("clips per video at test; their features are averaged")
    crops: int = setting("square crops per clip at test, 1 (centre) or 3 (along the long side)")
    every: int = setting("epochs of fine-tuning from one validation to the next; the best is kept")
    dual_softmax: bool = setting("also score with all test queries known at once, in a column of its own", False)
    rerank: int = setting("also re-rank so many best candidates by the matching head, in a column of its own", 0)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How a run is carried out; nothing here changes its outcome beyond rounding, so no id contains it."""

    device: str = setting("auto (CUDA where there is one), cpu or cuda")
    threads: int = setting("CPU threads of a process; 0: torch's choice")
    workers: int = setting("processes that decode and augment; 0: in the training process")
    checkpoint_seconds: float = setting("longest time from one checkpoint to the next")
    frame_cache: bool = setting("keep decoded frames in the cache folder (small corpora only)")
    shard: bool = setting("share weights and optimiser out over the processes (FSDP), for models too large", False)
    checkpointing: bool = setting("recompute layers in the backward pass: less memory, a third more work", False)
    compile: bool = setting("torch.compile every layer", False)
    recompute: bool = setting("compute norms and GELU again in the backward pass: a third less memory of layers", False)
    stream: str = setting(
        "folder on a fast disk that data.order=shards copies shards to, ahead of use; empty: read where they are", ""
    )
    products: str = setting("fp32 products on the CPU: torch (MKL), onednn, or auto (onednn on AMD, or torch)", "torch")


@dataclass(frozen=True, kw_only=True)
class Config:
    model: Model
    mask: Mask
    objective: Objective
    data: Data
    pretrain: Optimisation
    finetune: Optimisation
    evaluate: Evaluate
    machine: Machine
    seed: int = setting("seed of weights, order, masks and crops")

    def __post_init__(self) -> None:
        validate(self)


SECTIONS = {"model": Model, "mask": Mask, "objective": Objective, "data": Data, "pretrain": Optimisation,
            "finetune": Optimisation, "evaluate": Evaluate, "machine": Machine}  # fmt: skip


def _paths() -> tuple[str, ...]:
    """The path of every field, in the order of the definition."""
    paths: list[str] = []
    for part in dataclasses.fields(Config):
        section = SECTIONS.get(part.name)
        leaves = [leaf.name for leaf in dataclasses.fields(section)] if section else []
        paths += [f"{part.name}.{leaf}" for leaf in leaves] or [part.name]
    return tuple(paths)


PATHS = _paths()
_values = operator.attrgetter(*PATHS)


def flatten(config: Config) -> dict[str, Any]:
    """Config -> {"mask.video": 0.9, ...}, in the order of the definition."""
    return dict(zip(PATHS, _values(config), strict=True))


@functools.cache
def later_fields() -> Mapping[str, Any]:
    """Fields that came later, and what the code did before them (`setting`)."""
    return {
        f"{name}.{leaf.name}": leaf.default
        for name, section in SECTIONS.items()
        for leaf in dataclasses.fields(section)
        if leaf.default is not dataclasses.MISSING
    }


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """A flat config from disk, whole or in part, with the fields that came after it was written."""
    return {**later_fields(), **values}


def unflatten(values: Mapping[str, Any]) -> Config:
    """The inverse of `flatten`; raises ConfigError where a key is missing or unknown."""
    sections: dict[str, dict[str, Any]] = {}
    top: dict[str, Any] = {}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        (sections.setdefault(section, {}) if section else top)[name] = value
    try:
        parts = {name: kind(**sections.pop(name)) for name, kind in SECTIONS.items()}
        if sections:
            raise ConfigError(f"unknown config section {sorted(sections)[0]!r}")
        return Config(**parts, **top)
    except (TypeError, KeyError) as error:
        raise ConfigError(f"not a config of this version: {error}") from error


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """A new config with `changes` ({"mask.video": 0.5} or text as typed) applied and validated."""
    values = flatten(config)
    for key, value in changes.items():
        if key not in values:
            raise ConfigError(f"unknown config key {key!r}{nearest(key, values)}")
        values[key] = _convert(key, value, type(values[key]))
    return unflatten(values)


def parse_assignments(texts: Iterable[str]) -> dict[str, str]:
    """["mask.video=0.5"] -> {"mask.video": "0.5"}; raises ConfigError where there is no `=`."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text!r}: write it as key=value, such as mask.video=0.75")
        pairs[key.strip()] = value.strip()
    return pairs


_WORDS_FOR_BOOL = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


def _convert(key: str, value: Any, kind: type) -> Any:
    word = str(value).lower() if isinstance(value, str | bool) else None
    try:
        if kind is bool:
            return _WORDS_FOR_BOOL[word] if word is not None else {0: False, 1: True}[value]
        if kind is float:
            return float(_WORDS_FOR_BOOL.get(word, value)) if word is not None else float(value)
        if kind is int:
            if isinstance(value, bool) or float(value) != int(float(value)):
                raise ValueError
            return int(float(value))
        return str(value)
    except (ValueError, KeyError, TypeError, OverflowError):
        wanted = {bool: "true or false", float: "a number", int: "a whole number"}[kind]
        raise ConfigError(f"{key}: {value!r} is not {wanted}") from None


if __name__ == "__main__":
    from simvtp.config.__main__ import main

    sys.exit(main())
