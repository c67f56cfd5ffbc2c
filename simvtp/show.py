"""`python -m simvtp.config show base`: every field of a preset with its value, its meaning and its source."""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch

from rich.console import Console
from rich.table import Table

from simvtp.arguments import config_from
from simvtp.command import main
from simvtp.config import SECTIONS, Config, flatten
from simvtp.presets import PRESETS, preset

RECIPE = "SimVTP's released recipe"
PAPER = "SimVTP (arXiv 2212.03490)"
VIDEOMAE = "VideoMAE ViT-B (arXiv 2203.12602), as SimVTP"
OURS = "ours: SimVTP has no such choice"

# Pattern of keys -> where the value of preset `base` is from; the first that fits.
SOURCES = {
    "model.dropout": "BERT base (arXiv 1810.04805)",
    "model.words": "ours: longest caption of the cost arithmetic; the recipe's is not known",
    "model.towers": f"{RECIPE}: separate encoders",
    "model.*": VIDEOMAE,
    "mask.video": f"{PAPER}, best ratio",
    "mask.text": f"{PAPER}, best ratio",
    "mask.kind": f"{PAPER}, tube masking",
    "mask.words": f"{RECIPE}: masked words stay",
    "mask.*": OURS,
    "objective.temperature": f"{RECIPE}: fixed",
    "objective.contrast": f"{RECIPE}: both on masked inputs",
    "objective.negatives": f"{RECIPE}: one random other video",
    "objective.m*": f"{RECIPE}: weight 1 each",
    "objective.vt*": f"{RECIPE}: weight 1 each",
    "objective.*": OURS,
    "data.stride": RECIPE,
    "data.pretrain": f"{PAPER}: WebVid-2M; the folder is yours",
    "data.finetune": f"{PAPER}: MSR-VTT; the folder is yours",
    "data.tokenizer": RECIPE,
    "data.*": "ours: all of the data",
    "pretrain.precision": "ours: weights stay fp32",
    "finetune.precision": "ours: weights stay fp32",
    "pretrain.accumulate": "ours: the recipe's batch is 64 on each of 16 GPUs",
    "finetune.accumulate": "ours: the recipe's batch is 8 on each of 8 GPUs",
    "finetune.lr_end": f"{RECIPE}: 1e-6 unscaled, which is 4e-6 for a batch of 256",
    "finetune.lr_start": "ours: as pre-training's",
    "pretrain.ema": OURS,
    "finetune.ema": OURS,
    "pretrain.*": RECIPE,
    "finetune.*": RECIPE,
    "evaluate.segments": f"{RECIPE}: 3 segments x 3 crops",
    "evaluate.crops": f"{RECIPE}: 3 segments x 3 crops",
    "evaluate.every": "ours: the epoch is chosen on validation, not on the test as in the release",
    "evaluate.*": OURS,
    "machine.*": "ours: changes no outcome",
    "seed": "ours",
}


def source(key: str) -> str:
    """Where the value of a field of `base` is from."""
    return next(text for pattern, text in SOURCES.items() if fnmatch.fnmatchcase(key, pattern))


def meanings() -> dict[str, str]:
    """Field -> its meaning, in one line."""
    found = {
        f"{name}.{leaf.name}": leaf.metadata["meaning"]
        for name, section in SECTIONS.items()
        for leaf in dataclasses.fields(section)
    }
    return found | {"seed": next(f for f in dataclasses.fields(Config) if f.name == "seed").metadata["meaning"]}


def table(config: Config, name: str) -> Table:
    """All fields; the source of a value where it is the one of `base`."""
    told, base = meanings(), flatten(preset("base"))
    shown = Table("field", "value", "meaning", "source", title=f"preset {name}")
    for key, value in flatten(config).items():
        from_base = value == base[key] and type(value) is type(base[key])
        shown.add_row(key, str(value), told[key], source(key) if from_base else "this scale")
    return shown


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m simvtp.config", description=__doc__)
    parser.add_argument("action", choices=["show"])
    parser.add_argument("preset", nargs="?", default="base", metavar="PRESET", help=" or ".join(PRESETS) + " (base)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="assignments")
    arguments = parser.parse_args()
    console = Console()
    width = console.width if console.is_terminal else 300  # a pipe gets whole lines
    Console(width=width).print(table(config_from(arguments), arguments.preset))


def run() -> None:
    main(_main)
