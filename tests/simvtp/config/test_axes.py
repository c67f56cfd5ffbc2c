"""Every axis: ids that are valid before and after, training that runs, and what is refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from simvtp.config.experiment import Experiment
from simvtp.config.run_id import OUTCOME_VERSION, pretrain_id, run_id
from simvtp.config.schema import flatten, override
from simvtp.errors import ConfigError
from simvtp.run import run
from simvtp.runtime.constants import SPRITES_VERSION
from tests.small_config import CONFIG

TINY = CONFIG


def ids(changes: dict[str, Any]) -> tuple[str, str | None]:
    config = override(TINY, changes)
    return run_id(config), pretrain_id(config)


def test_the_id_of_what_was_trained_before_these_axes_stays() -> None:
    """The stage's id, stated again with the fields that there were."""
    sections = ("model", "mask", "objective", "pretrain")
    now = {"model.towers", "model.init", "model.positions", "model.position_encoding", "mask.words",
           "mask.decoded", "objective.learn_temperature",
           "objective.contrast", "objective.negatives", "pretrain.ema", "pretrain.rand_augment", "pretrain.flip",
           "pretrain.erasing", "model.pooled_norm", "model.text_mean", "pretrain.group",
           "pretrain.crop_area"}  # fmt: skip
    others = ("data.pretrain", "data.tokenizer", "data.fraction", "data.stride", "seed")
    content = {
        key: value
        for key, value in flatten(TINY).items()
        if (key.partition(".")[0] in sections and key not in now | {"pretrain.layer_decay"}) or key in others
    }
    content["data.pretrain"] = f"sprites:tiny@{SPRITES_VERSION}"
    text = json.dumps({"version": OUTCOME_VERSION, **content}, sort_keys=True, separators=(",", ":"))
    assert ids({})[1] == hashlib.sha256(text.encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("changes", "same_stage"),
    [
        ({"mask.words": "dropped"}, False),
        ({"mask.decoded": 0.5}, False),
        ({"objective.contrast": "clean"}, False),
        ({"objective.negatives": "hard"}, False),
        ({"objective.learn_temperature": True}, False),
        ({"model.towers": "shared"}, True),
        ({"pretrain.ema": 0.99}, False),
        ({"finetune.ema": 0.99}, True),
    ],
)
def test_an_axis_is_part_of_the_ids(changes: dict[str, Any], same_stage: bool) -> None:
    run_now, stage_now = ids(changes)
    assert run_now != ids({})[0]
    assert (stage_now == ids({})[1]) is same_stage


@pytest.mark.parametrize(
    ("off", "axis"),
    [
        ({"objective.mvm": 0}, {"mask.decoded": 0.5}),
        ({"objective.vtc": 0}, {"objective.contrast": "clean"}),
        ({"objective.vtm": 0}, {"objective.negatives": "hard"}),
        ({"objective.mvm": 0}, {"model.decoder_depth": 3}),
        ({"pretrain.length": "0 steps"}, {"mask.words": "dropped"}),
        ({}, {"machine.shard": True, "machine.checkpointing": True, "machine.compile": True}),
    ],
)
def test_an_axis_of_what_is_off_is_no_part(off: dict[str, Any], axis: dict[str, Any]) -> None:
    assert ids({**off, **axis}) == ids(off)


def test_a_word_decoder_is_a_decoder() -> None:
    words = {"objective.mvm": 0, "mask.words": "dropped"}
    assert ids({**words, "model.decoder_depth": 3}) != ids(words)
    assert ids({**words, "model.decoder_depth": 3, "objective.mlm": 0}) == ids({**words, "objective.mlm": 0})
    fixed, learned = {"objective.vtc": 0}, {"objective.vtc": 0, "objective.learn_temperature": True}
    assert ids(learned)[1] == ids(fixed)[1]
    assert ids(learned)[0] != ids(fixed)[0]  # fine-tuning has a temperature too


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.towers": "share"}, "did you mean 'shared'"),
        ({"mask.words": "keep"}, "mask.words: 'keep' .* kept or dropped"),
        ({"mask.decoded": 0}, r"mask.decoded: 0.0 .* \(0, 1\]"),
        ({"objective.contrast": "whole"}, "objective.contrast: 'whole' .* masked or clean"),
        ({"objective.negatives": "soft"}, "objective.negatives: 'soft' .* random or hard"),
        ({"objective.learn_temperature": "maybe"}, "is not true or false"),
        ({"pretrain.ema": 1}, r"pretrain.ema: 1.0 .* \[0, 1\)"),
    ],
)
def test_what_an_axis_does_not_take(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(TINY, changes)


def test_a_run_with_all_of_them(quick: dict[str, str], tmp_path: Path) -> None:
    changes = {"mask.words": "dropped", "mask.decoded": "0.5", "objective.contrast": "clean", "mask.kind": "random",
               "objective.negatives": "hard", "objective.learn_temperature": "on", "model.towers": "shared",
               "pretrain.ema": "0.5", "finetune.ema": "0.5", "pretrain.accumulate": "2"}  # fmt: skip
    assert run(Experiment(override(TINY, {**quick, **changes}), "tiny", tmp_path)).exists()
