import subprocess
import sys

import pytest

from simvtp.config.__main__ import SCALES, rows
from simvtp.config.presets import PRESETS, preset
from simvtp.config.schema import FIELDS, flatten


def shown(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "simvtp.config", "show", *words], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_field_has_a_value_a_meaning_and_a_source(name: str) -> None:
    actual = rows(name, [])
    assert [key for key, *_ in actual] == list(flatten(preset(name)))
    assert all(value and meaning and source for _, value, meaning, source in actual)


def test_every_field_of_the_recipe_has_a_source_of_its_own() -> None:
    sections = ("mask", "pretrain", "finetune", "data", "evaluate")
    assert not [path for path, field in FIELDS.items() if field.section in sections and not field.source]


def test_the_command_prints_them_for_a_newcomer() -> None:
    done = shown("base", "--set", "mask.video=0.75")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert "pretrain.batch 1024 samples a step, over all processes SimVTP: WebVid-2M recipe" in lines
    assert [line for line in lines if line.startswith("mask.video 0.75 share of tubes") and line.endswith(" --set")]
    assert set(flatten(preset("base"))) <= {line.partition(" ")[0] for line in lines}


def test_where_a_preset_departs_from_the_recipe_its_scale_is_the_source() -> None:
    actual = {key: (value, source) for key, value, _, source in rows("tiny", [])}
    assert actual["model.width"] == (str(preset("tiny").model.width), SCALES["tiny"])
    assert actual["mask.text"] == ("0.75", "SimVTP: best text ratio (BERT: 0.15)")
    assert actual["objective.learn_temperature"] == ("false", "SimVTP: fixed")


def test_bad_input_is_a_line_and_exit_code_2() -> None:
    done = shown("bas")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: unknown preset 'bas'; there are {', '.join(PRESETS)}; did you mean 'base'?\n"


def test_base_is_the_whole_recipe() -> None:
    """Every value that the paper and its released code have, and where it is another on purpose, in `show`'s order."""
    flat = flatten(preset("base"))
    recipe = {
        "model.frames": 16, "model.size": 224, "model.tube_frames": 2, "model.patch": 16, "model.width": 768,
        "model.depth": 12, "model.heads": 12, "model.decoder_width": 384, "model.decoder_depth": 4,
        "model.decoder_heads": 6, "model.words": 32, "model.dropout": 0.1, "model.towers": "separate",
        "model.pooled_norm": "fresh", "model.text_mean": "words",
        "mask.video": 0.9, "mask.text": 0.75, "mask.kind": "tube", "mask.words": "kept", "mask.decoded": 1.0,
        "objective.mvm": 1.0, "objective.mlm": 1.0, "objective.vtc": 1.0, "objective.vtm": 1.0,
        "objective.temperature": 0.05, "objective.learn_temperature": False, "objective.contrast": "masked",
        "objective.negatives": "random",
        "data.pretrain": "webvid:data/webvid", "data.finetune": "msrvtt:data/msrvtt",
        "data.tokenizer": "bert-base-uncased", "data.fraction": 1.0, "data.stride": 4, "data.finetune_stride": 4,
        "data.short": "repeat", "data.captions": "random", "data.queries": "caption",
        "pretrain.length": "200 epochs", "pretrain.warmup": "40 epochs", "pretrain.batch": 1024, "pretrain.lr": 1.5e-4,
        "pretrain.group": 0, "pretrain.lr_start": 0.0, "pretrain.lr_end": 1e-5, "pretrain.beta1": 0.9,
        "pretrain.beta2": 0.95, "pretrain.weight_decay": 0.05, "pretrain.layer_decay": 1.0, "pretrain.drop_path": 0.0,
        "pretrain.crop": "multiscale", "pretrain.rand_augment": "", "pretrain.flip": "none", "pretrain.erasing": 0.0,
        "finetune.length": "100 epochs", "finetune.warmup": "5 epochs", "finetune.batch": 64, "finetune.lr": 3e-4,
        "finetune.group": 0, "finetune.lr_start": 0.0, "finetune.lr_end": 1e-6,  # for 256; 2.5e-7 at 64
        "finetune.beta1": 0.9, "finetune.beta2": 0.999, "finetune.weight_decay": 0.05, "finetune.layer_decay": 1.0,
        "finetune.drop_path": 0.1, "finetune.crop": "resized", "finetune.crop_area": 0.08,
        "finetune.rand_augment": "m7-n4", "finetune.flip": "safe", "finetune.erasing": 0.25,
        "evaluate.segments": 3, "evaluate.crops": 3, "evaluate.average": "raw",
        "evaluate.dual_softmax": False, "evaluate.rerank": 0,
    }  # fmt: skip
    assert {key: flat[key] for key in recipe} == recipe
