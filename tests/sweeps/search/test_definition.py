"""What a search may consist of: its axes, its constraints, its sampler."""

from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.errors import ConfigError
from simvtp.models.flops import pretrain_gflop
from sweeps.search.space import Space, distribution
from sweeps.search_definition import FLOP, AtMost, Axis, Search, log_factor, log_uniform, one_of, uniform

BASE = override(preset("tiny"), {"model.depth": 2, "pretrain.batch": 64, "pretrain.lr": 0.012, "mask.video": 0.9,
                                 "pretrain.length": "400 steps", "model.width": 64, "model.heads": 4})  # fmt: skip


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (uniform("mask.video", 0.5, 0.9, 0.1), FloatDistribution(0.5, 0.9, step=0.1)),
        (uniform("model.depth", 1, 5, 2), IntDistribution(1, 5, step=2)),
        (log_uniform("pretrain.batch", 16, 256), IntDistribution(16, 256, log=True)),
        (log_uniform("pretrain.lr", 1e-3, 1e-1), FloatDistribution(1e-3, 1e-1, log=True)),
        (log_factor("pretrain.lr", 0.1, 3), FloatDistribution(0.0012, 0.036, log=True)),
        (log_factor("pretrain.batch", 0.5, 4), IntDistribution(32, 256, log=True)),
        (one_of("mask.kind", "tube", "frame"), CategoricalDistribution(("tube", "frame"))),
        (one_of("model.depth", "2", 4.0), CategoricalDistribution((2, 4))),
        (one_of("objective.learn_temperature", True, "off"), CategoricalDistribution((True, False))),
    ],
)
def test_the_type_of_a_field_says_how_it_is_drawn(axis: Axis, expected: object) -> None:
    assert distribution(axis, BASE) == expected


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        ("mask.vide", (0.5, 0.9, 0.1), "did you mean 'mask.video'"),
        ("machine.threads", (1, 4, 1), "not part of what a run is"),
        ("seed", (1, 4, 1), "not part of what a run is"),
        ("mask.kind", (0, 1, 1), "name its values with one_of"),
        ("mask.video", (0.5, 1.5, 0.1), "mask.video: 1.5 is not possible"),
        ("mask.video", (0.9, 0.5, 0.1), "is no range"),
        ("model.depth", (1, 4, 0.5), "the step is one too, not 0.5"),
        ("mask.video", (0.5, 0.9, 0.15), "0.9 is no whole number of steps of 0.15 from 0.5"),
    ],
)
def test_axes_that_cannot_be(key: str, values: tuple[float, float, float], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        uniform(key, *values)
    assert message in str(caught.value)


def test_choices_and_searches_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="did you mean 'dropped'"):
        one_of("mask.words", "droped", "kept")
    with pytest.raises(ConfigError, match=r"mask\.kind: 'tub'"):
        Space(Search("", (one_of("mask.kind", "tub", "frame"),)), BASE, (0,))
    with pytest.raises(ConfigError, match="a choice is there twice"):
        one_of("mask.video", 0.5, "0.50")
    with pytest.raises(ConfigError, match="0 to 1 is no range"):
        log_uniform("mask.video", 0, 1)
    with pytest.raises(ConfigError, match=r"mask\.kind: it is there twice"):
        Search("", (one_of("mask.kind", "tube"), one_of("mask.kind", "frame")))
    with pytest.raises(ConfigError, match="sampler 'best' is not known; it is one of tpe, joint_tpe, random"):
        Search("", (one_of("mask.kind", "tube"),), sampler="best")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"axes": ()}, "axes of a search: there is none"),
        ({"axes": one_of("mask.kind", "tube")}, "is no tuple of Axis; mind the comma"),
        ({"minimise": FLOP}, "minimise of a search: .* is no tuple of Measure; mind the comma"),
        ({"constraints": (FLOP,)}, "constraints of a search: .* is no tuple of AtMost"),
        ({"minimise": (FLOP, FLOP)}, r"a measure is there twice among pre-training \(TFLOP\), pre-training \(TFLOP\)"),
    ],
)
def test_members_of_a_search_that_cannot_be(members: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Search("", **{"axes": (one_of("mask.kind", "tube"),), **members})


def test_the_base_is_a_point_where_every_axis_has_its_value() -> None:
    def point(*axes: Axis) -> object:
        return Space(Search("", axes), BASE, (0,)).base_params()

    inside = (
        uniform("model.depth", 1, 4, 1),
        one_of("mask.kind", "frame", "tube"),
        log_uniform("pretrain.batch", 8, 64),
    )
    assert point(*inside) == {"model.depth": 2, "mask.kind": "tube", "pretrain.batch": 64}
    assert point(*inside, uniform("model.width", 32, 224, 64)) is None  # between its values
    assert point(*inside, one_of("mask.words", "dropped")) is None


def test_costs_and_constraints_are_known_before_training() -> None:
    space = Space(Search("", (uniform("model.depth", 1, 4, 1), one_of("model.heads", 2, 3)), minimise=(FLOP,),
                         constraints=(AtMost(FLOP, 1.5),)), BASE, (0,))  # fmt: skip
    assert space.objectives == {"validation R@1, text-to-video (%)": "maximize", "pre-training (TFLOP)": "minimize"}
    assert space.costs({}) == (pytest.approx(pretrain_gflop(BASE) * 400 / 1000),)
    deep = override(BASE, {"model.depth": 4})
    excess = (pretrain_gflop(deep) - 1.5 * pretrain_gflop(BASE)) * 0.4
    assert space.violations({"model.depth": 4, "model.heads": 2}) == {
        "config that can be run": 0.0, "pre-training (TFLOP)": pytest.approx(excess),
    }  # fmt: skip
    assert excess > 0
    assert space.violations({"model.depth": 2, "model.heads": 3}) == {"config that can be run": 1.0}  # 64 / 3
    epochs = override(BASE, {"pretrain.length": "4 epochs"})
    with pytest.raises(ConfigError, match='a length in steps, not "4 epochs"'):
        Space(Search("", (one_of("mask.kind", "tube"),), minimise=(FLOP,)), epochs, (0,))


def test_a_rung_shortens_a_length_that_is_searched_too() -> None:
    space = Space(Search("", (one_of("pretrain.length", "200 steps", "900 steps"),)), BASE, (0,))
    third, whole = (space.config({"pretrain.length": "900 steps"}, share, 0) for share in space.search.shares[1:])
    assert (third.pretrain.length, whole.pretrain.length) == ("300 steps", "900 steps")
