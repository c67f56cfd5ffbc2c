"""What the presets say of themselves, and that `base` is the paper's recipe."""

import subprocess
import sys

import pytest

from simvtp.config import flatten
from simvtp.presets import preset
from simvtp.show import SOURCES, meanings, source


def test_base_is_the_recipe() -> None:
    base = preset("base")
    wanted = {
        "model.frames": 16, "model.size": 224, "model.tube_frames": 2, "model.patch": 16, "model.width": 768,
        "model.depth": 12, "model.heads": 12, "model.decoder_width": 384, "model.decoder_depth": 4,
        "model.decoder_heads": 6, "model.towers": "separate", "mask.video": 0.9, "mask.text": 0.75, "mask.kind": "tube",
        "mask.words": "kept", "mask.decoded": 1.0, "objective.mvm": 1.0, "objective.mlm": 1.0, "objective.vtc": 1.0,
        "objective.vtm": 1.0, "objective.temperature": 0.05, "objective.learn_temperature": False,
        "objective.contrast": "masked", "objective.negatives": "random", "data.stride": 4, "data.fraction": 1.0,
        "data.tokenizer": "bert-base-uncased", "pretrain.length": "200 epochs", "pretrain.warmup": "40 epochs",
        "pretrain.batch": 1024, "pretrain.lr": 1.5e-4, "pretrain.lr_start": 1e-6, "pretrain.lr_end": 1e-5,
        "pretrain.beta1": 0.9, "pretrain.beta2": 0.95, "pretrain.weight_decay": 0.05, "pretrain.layer_decay": 1.0,
        "pretrain.drop_path": 0.0, "pretrain.crop": "multiscale", "finetune.length": "100 epochs",
        "finetune.warmup": "5 epochs", "finetune.batch": 64, "finetune.lr": 3e-4, "finetune.beta1": 0.9,
        "finetune.beta2": 0.999, "finetune.weight_decay": 0.05, "finetune.layer_decay": 0.75,
        "finetune.drop_path": 0.1, "evaluate.segments": 3, "evaluate.crops": 3,
    }  # fmt: skip
    flat = flatten(base)
    assert {key: flat[key] for key in wanted} == wanted
    assert base.model.tubes == 1568
    assert base.finetune.lr_end * base.finetune.batch / 256 == pytest.approx(1e-6)


def test_every_field_has_a_meaning_and_a_source_and_no_source_is_idle() -> None:
    keys = list(flatten(preset("base")))
    assert list(meanings()) == keys
    assert {source(key) for key in keys} == set(SOURCES.values())


def test_the_command_prints_every_field_and_names_what_was_changed() -> None:
    words = [sys.executable, "-m", "simvtp.config", "show", "base", "--set", "mask.video=0.8"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    lines = {line.split("│")[1].strip(): line for line in said.splitlines() if line.startswith("│")}
    assert set(lines) == set(flatten(preset("base")))
    assert "200 epochs" in lines["pretrain.length"]
    assert "released recipe" in lines["pretrain.length"]
    assert "0.8" in lines["mask.video"]
    assert "this scale" in lines["mask.video"]
    wrong = subprocess.run([*words[:4], "bas"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "base" in wrong.stderr
