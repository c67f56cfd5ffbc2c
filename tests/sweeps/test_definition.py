"""The sweeps beyond the paper, as runs."""

from typing import Any

import pytest

from simvtp.config.presets import PRESETS
from simvtp.config.schema import flatten, override
from simvtp.errors import ConfigError
from sweeps.plan import make_plan
from tests.small_config import CONFIG

CORPORA = {"data.pretrain": "webvid:/webvid#0123456789abcdef", "data.finetune": "msrvtt:/msrvtt#0123456789abcdef"}
LENGTHS = {"pretrain.length": "400 steps", "finetune.length": "240 steps"}
EXPECTED: dict[str, dict[str, dict[str, Any]]] = {
    "mask_kind": {"kind frame": {"mask.kind": "frame"}, "kind random": {"mask.kind": "random"}},
    "masked_words": {"words dropped": {"mask.words": "dropped"}},
    "contrast_inputs": {"contrast clean": {"objective.contrast": "clean"}},
    "negatives": {"negatives hard": {"objective.negatives": "hard"}},
    "loss_weights": {
        f"{name} {value:g}": {f"objective.{name}": value}
        for name in ("mvm", "mlm", "vtc", "vtm")
        for value in (0.5, 2.0)
    },
    "temperature": {
        "temperature 0.02": {"objective.temperature": 0.02},
        "temperature 0.1": {"objective.temperature": 0.1},
        "temperature learned": {"objective.learn_temperature": True},
    },
    "decoder": {
        "decoder width 16": {"model.decoder_width": 16},
        "decoder width 64": {"model.decoder_width": 64},
        "decoder depth 2": {"model.decoder_depth": 2},
        "decoder depth 4": {"model.decoder_depth": 4},
    },
    "decoded_tubes": {f"decoded {share:.0%}": {"mask.decoded": share} for share in (0.25, 0.5, 0.75)},
    "claims": {
        "video 50%": {"mask.video": 0.5},
        "video 75%": {"mask.video": 0.75},
        "text 15%": {"mask.text": 0.15},
        "text 50%": {"mask.text": 0.5},
        "no VTM": {"objective.vtm": 0.0},
        "no VTC": {"objective.vtc": 0.0},
        "no VTC, no VTM": {"objective.vtc": 0.0, "objective.vtm": 0.0},
        "data 10%": {"data.fraction": 0.1},
        "no pre-training": {"pretrain.length": "0 steps"},
        "video 50%, equal compute": {"mask.video": 0.5, "pretrain.length": "177 steps"},
        "video 75%, equal compute": {"mask.video": 0.75, "pretrain.length": "282 steps"},
        "no pre-training, equal compute": {"pretrain.length": "0 steps", "finetune.length": "521 steps"},
        "data 10%, equal epochs": {"data.fraction": 0.1, "pretrain.length": "40 steps"},
    },
    "towers": {"towers shared": {"model.towers": "shared"}},
}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_points_of_tiny(name: str) -> None:
    (table,) = make_plan(name, "tiny", override(CONFIG, LENGTHS), (0,)).tables
    assert {point.label: point.set for point in table.points} == {"base": {}, **EXPECTED[name]}
    assert {key for point in table.points for key in point.set} <= set(table.axes) <= set(flatten(CONFIG))


@pytest.mark.parametrize("name", list(EXPECTED))
@pytest.mark.parametrize("size", ["small", "base"])
def test_every_point_is_a_run_of_its_own_at_every_scale(name: str, size: str) -> None:
    lengths = {"pretrain.length": "480000 steps", "finetune.length": "14000 steps"} if name == "claims" else {}
    plan = make_plan(name, size, override(PRESETS[size], CORPORA | lengths), (0,))
    (table,) = plan.tables
    assert len(plan.runs) == len(table.points) > 1


def test_claims_take_lengths_in_steps() -> None:
    with pytest.raises(ConfigError, match=r'pretrain\.length: equal compute needs a length in steps, not "200 epochs"'):
        make_plan("claims", "base", override(PRESETS["base"], CORPORA), (0,))


def test_towers_share_their_pretraining() -> None:
    assert len({run.stage for run in make_plan("towers", "tiny", CONFIG, (0,)).runs.values()}) == 1
