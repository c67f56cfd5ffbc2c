"""Where the values of preset `base` come from: SimVTP (arXiv 2212.03490, paper and released recipe), what it builds
on, or this framework's own choice where neither names a value."""

from __future__ import annotations

from typing import Any

from simvtp.config.presets import BASE
from simvtp.config.schema import flatten

_INPUT = "SimVTP: input and tubes"
_ENCODER = "SimVTP: ViT-B, as in VideoMAE"
_DECODER = "SimVTP: pixel decoder"
_LOSSES = "SimVTP: the sum of four, weight 1 each"
_PRETRAIN = "SimVTP: WebVid-2M recipe"
_FINETUNE = "SimVTP: MSR-VTT recipe"
_MACHINE = "the machine"
_OWN = "own: the recipe names none"

SOURCES = {
    **dict.fromkeys(("model.frames", "model.size", "model.tube_frames", "model.patch"), _INPUT),
    **dict.fromkeys(("model.width", "model.depth", "model.heads"), _ENCODER),
    **dict.fromkeys(("model.decoder_width", "model.decoder_depth", "model.decoder_heads"), _DECODER),
    "model.words": _OWN,
    "model.dropout": "BERT",
    "model.towers": "SimVTP: two encoders, both from the pre-trained one",
    "model.init": "own: random; SimVTP starts from VideoMAE (ViT-B, Kinetics-400) and BERT: name their files",
    "model.positions": "SimVTP: its own",
    "mask.video": "SimVTP: best video ratio",
    "mask.text": "SimVTP: best text ratio (BERT: 0.15)",
    "mask.kind": "SimVTP: tube masking, as in VideoMAE",
    "mask.words": "SimVTP: always [MASK], kept in the sequence",
    "mask.decoded": "SimVTP: all masked tubes",
    **dict.fromkeys(("objective.mvm", "objective.mlm", "objective.vtc", "objective.vtm"), _LOSSES),
    "objective.temperature": "SimVTP: fixed at 0.05",
    "objective.learn_temperature": "SimVTP: fixed",
    "objective.contrast": "SimVTP: both passes on masked inputs",
    "objective.negatives": "SimVTP: one random other video a text",
    "data.pretrain": "SimVTP: WebVid-2M; the folder is yours to name",
    "data.finetune": "SimVTP: MSR-VTT; the folder is yours to name",
    "data.tokenizer": "SimVTP: BERT-base uncased",
    "data.fraction": "SimVTP: all of WebVid-2M",
    "data.stride": "SimVTP: 16 frames, stride 4",
    **dict.fromkeys(("data.reader", "data.decode_seconds", "data.skip", "data.failures", "data.missing",
                     "data.order"), _OWN),
    "data.queries": "SimVTP: each caption by itself",
    **{f"pretrain.{name}": _PRETRAIN for name in ("length", "warmup", "batch", "lr", "lr_start", "lr_end", "beta1",
                                                  "beta2", "weight_decay", "crop")},
    **{f"finetune.{name}": _FINETUNE for name in ("length", "warmup", "batch", "lr", "beta1", "beta2", "weight_decay",
                                                  "layer_decay", "drop_path")},
    **{f"{stage}.accumulate": "own: one part (the contrast sees one at a time)" for stage in ("pretrain", "finetune")},
    **{f"{stage}.{name}": _OWN for stage in ("pretrain", "finetune") for name in ("precision", "ema")},
    "pretrain.layer_decay": "SimVTP: in fine-tuning only",
    "pretrain.drop_path": "SimVTP: in fine-tuning only",
    "finetune.lr_start": _OWN,
    "finetune.lr_end": "SimVTP: MSR-VTT recipe, 1e-6 at batch 64",
    **dict.fromkeys(("finetune.crop", "finetune.rand_augment", "finetune.erasing"), _FINETUNE),
    "finetune.flip": "SimVTP: MSR-VTT recipe flips all; here not where a caption names a side",
    **dict.fromkeys(("pretrain.rand_augment", "pretrain.flip", "pretrain.erasing"), "SimVTP: in fine-tuning only"),
    "evaluate.segments": "SimVTP: 3 segments x 3 crops",
    "evaluate.crops": "SimVTP: 3 segments x 3 crops",
    "evaluate.every": _OWN,
    "evaluate.dual_softmax": "SimVTP: plain similarity",
    "evaluate.rerank": "SimVTP: plain similarity",
    "seed": _OWN,
}  # fmt: skip

SCALES = {"tiny": "tiny: minutes on two CPU cores", "small": "small: hours on one GPU"}


def source(preset: str, key: str, value: Any) -> str:
    """Where a preset's value of a field comes from: that of `base` where it is the same, else the preset's scale."""
    if key.startswith("machine."):
        return _MACHINE
    if value != flatten(BASE)[key]:
        return SCALES[preset]
    return SOURCES.get(key, "an option of this framework, at its default")
