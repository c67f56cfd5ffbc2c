"""The sections `pretrain` and `finetune` of a config: schedule, batch, optimiser, augmentation of a stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from simvtp.config import formats
from simvtp.config.fields import setting

OWN = "own: the recipe names none"
_FINETUNED_ONLY = {"pretrain": "SimVTP: in fine-tuning only"}


def _compares_rows(config: Any) -> bool:
    """Whether pre-training has an objective that sets the rows of a batch against each other."""
    return bool(config.objective.vtc or config.objective.vtm)


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """Of one stage. Learning rates are for a batch of 256 and scale with the batch."""

    length: str = setting('how long, such as "600 steps" or "200 epochs"; "0 steps" leaves the stage out',
                          form=formats.length)  # fmt: skip
    warmup: str = setting('linear warm-up from lr_start, such as "30 steps" or "5 epochs"', form=formats.length)
    batch: int = setting("samples a step, over all processes", within="[2, inf)")
    accumulate: int = setting("parts a batch is computed in, to save memory; VTC and VTM see one part",
                              within="[1, inf)", source="SimVTP: one part")  # fmt: skip
    group: int = setting(
        "rows among which VTC contrasts and VTM draws mismatched pairs; 0: all rows of a part", 0, within="[0, inf)",
        source={"pretrain": "own: the whole batch, SimVTP's are the 16 rows of a GPU",
                "finetune": "own: the whole batch, SimVTP's are the 8 rows of a GPU"},
        pretrain_if=_compares_rows)  # fmt: skip
    lr: float = setting("peak learning rate for a batch of 256", within="[0, inf)", unit="rate", axis="learning rate")
    lr_start: float = setting("learning rate at the first step, not scaled", within="[0, inf)", unit="rate",
                              source="SimVTP: the warm-up starts at 0")  # fmt: skip
    lr_end: float = setting(
        "learning rate at the last step for a batch of 256", within="[0, inf)", unit="rate",
        source={"pretrain": "SimVTP: 1e-5 a batch of 256, 4e-5 at 1024",
                "finetune": "SimVTP: 1e-6 a batch of 256, 2.5e-7 at 64"})  # fmt: skip
    beta1: float = setting("AdamW beta1", within="[0, 1)")
    beta2: float = setting("AdamW beta2", within="[0, 1)")
    weight_decay: float = setting("AdamW weight decay; biases, norms and single vectors have none", within="[0, inf)")
    layer_decay: float = setting(
        "factor on the learning rate from a layer to the one below it; 1: none",
        within="(0, 1]",
        source=_FINETUNED_ONLY | {"finetune": "SimVTP: 0.75 is set and reaches no parameter, every scale is 1"},
        pretrain_if=lambda _: False,
    )  # fmt: skip  (one rate for all layers)
    drop_path: float = setting("stochastic depth of the last layer, rising linearly from 0", within="[0, 1)",
                               source=_FINETUNED_ONLY)  # fmt: skip
    crop: Literal["none", "multiscale", "resized"] = setting(
        "none (resize, centre), multiscale or resized (random resized crop)")  # fmt: skip
    crop_area: float = setting(
        "least share of a frame that a resized crop covers", 0.5, within="(0, 1]", unit="share",
        source={"pretrain": "SimVTP: multi-scale crops in pre-training", "finetune": "SimVTP: 0.08"})  # fmt: skip
    precision: Literal["fp32", "bf16", "bf16-pure"] = setting(
        "fp32, bf16 (autocast; weights stay fp32) or bf16-pure (weights too; AdamW updates fp32 copies of them)",
        source={"pretrain": "own: bf16, SimVTP pre-trains in fp32", "finetune": "own: bf16, SimVTP fine-tunes in fp16"},
    )  # fmt: skip
    rand_augment: str = setting("RandAugment of training clips, magnitude and number, such as m7-n4; empty: none", "",
                                form=formats.rand_augment, source=_FINETUNED_ONLY)  # fmt: skip
    flip: Literal["none", "safe", "all"] = setting(
        "mirror half of the clips: none, safe (not where a caption names a side) or all", "none",
        source=_FINETUNED_ONLY | {"finetune": "own: safe, SimVTP flips all"})  # fmt: skip
    erasing: float = setting("chance that a box of a training clip is filled with noise", 0.0, within="[0, 1]",
                             source=_FINETUNED_ONLY)  # fmt: skip
    ema: float = setting("decay of a moving average of the weights, which the stage then gives; 0: none", 0.0,
                         within="[0, 1)", source="SimVTP: none")  # fmt: skip
