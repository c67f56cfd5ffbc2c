"""The sweeps beyond the paper, as runs."""

from typing import Any

import pytest

from simvtp.config.presets import PRESETS, preset
from simvtp.config.schema import flatten, override
from sweeps.plan import make_plan

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
        "video 75%": {"mask.video": 0.75},
        "text 15%": {"mask.text": 0.15},
        "no VTM": {"objective.vtm": 0.0},
        "data 10%": {"data.fraction": 0.1},
        "no pre-training": {"pretrain.length": "0 steps"},
    },
    "towers": {"towers shared": {"model.towers": "shared"}},
}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_points_of_tiny(name: str) -> None:
    (table,) = make_plan(name, "tiny", preset("tiny"), (0,)).tables
    assert {point.label: point.set for point in table.points} == {"base": {}, **EXPECTED[name]}
    assert {key for point in table.points for key in point.set} <= set(table.axes) <= set(flatten(preset("tiny")))


@pytest.mark.parametrize("name", list(EXPECTED))
@pytest.mark.parametrize("size", ["small", "base"])
def test_every_point_is_a_run_of_its_own_at_every_scale(name: str, size: str) -> None:
    corpora = {"data.pretrain": "webvid:/webvid#0123456789abcdef", "data.finetune": "msrvtt:/msrvtt#0123456789abcdef"}
    plan = make_plan(name, size, override(PRESETS[size], corpora), (0,))
    (table,) = plan.tables
    assert len(plan.runs) == len(table.points) > 1


def test_towers_share_their_pretraining() -> None:
    assert len({run.stage for run in make_plan("towers", "tiny", preset("tiny"), (0,)).runs.values()}) == 1
