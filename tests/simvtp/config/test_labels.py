"""How fields are named and shown in labels and on axes."""

import pytest

from analysis.figures.style import axis_of
from simvtp.config.schema import FIELDS


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("mask.video", 0.9, "90%"), ("mask.video", 0.07, "7%"), ("mask.video", 1 / 3, "33.33333333333333%"),
        ("pretrain.lr", 0.003, "3e-3"), ("pretrain.lr", 0.0125, "1.25e-2"), ("pretrain.lr", 0.5, "0.5"),
        ("pretrain.lr", 0.0, "0"), ("objective.temperature", 0.05, "0.05"), ("objective.mvm", 2.0, "2"),
        ("objective.mvm", 1e-5, "1e-05"), ("model.depth", 12, "12"), ("pretrain.batch", 1024, "1024"),
        ("mask.kind", "tube", "tube"), ("model.init", "", '""'), ("evaluate.dual_softmax", True, "true"),
    ],
)  # fmt: skip
def test_a_value_in_the_unit_of_its_field(path: str, value: object, shown: str) -> None:
    assert FIELDS[path].show(value) == shown


@pytest.mark.parametrize(
    ("path", "label", "factor", "log"),
    [
        ("mask.video", "video mask ratio (%)", 100, False),
        ("data.fraction", "share of the pre-training videos (%)", 100, True),
        ("pretrain.lr", "pre-training learning rate", 1, True),
        ("finetune.batch", "fine-tuning batch", 1, False),
        ("objective.vtc", "weight of VTC", 1, False),
        ("evaluate.segments", "evaluate segments", 1, False),
        ("gone.field", "gone field", 1, False),
    ],
)
def test_an_axis_of_a_figure(path: str, label: str, factor: float, log: bool) -> None:
    axis = axis_of(path)
    assert (axis.label, axis.factor, axis.log) == (label, factor, log)


def test_no_two_fields_share_an_axis_name() -> None:
    names = [field.axis for field in FIELDS.values()]
    assert len(set(names)) == len(names)
