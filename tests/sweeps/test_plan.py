import re

import pytest

from simvtp.config.presets import preset
from simvtp.config.schema import Config, flatten, override
from simvtp.errors import ConfigError
from simvtp.models.flops import pretrain_gflop
from sweeps.catalogue import find_sweep, names
from sweeps.plan import Plan, equal_points, make_plan, sweep_record
from tests.small_config import CONFIG

TINY = preset("tiny")


def plan(name: str, seeds: tuple[int, ...] = (0,)) -> Plan:
    return make_plan(name, "tiny", TINY, seeds)


@pytest.mark.parametrize(
    ("name", "runs", "stages"),
    [("mask_ratio", 8, 7), ("mask_grid", 16, 16), ("data_fraction", 4, 4), ("objectives", 5, 4), ("paper", 14, 13)],
)
def test_each_run_and_each_pretraining_counts_once(name: str, runs: int, stages: int) -> None:
    actual = plan(name)
    assert len(actual.runs) == runs
    assert len({run.stage for run in actual.runs.values() if run.stage is not None}) == stages
    assert len(plan(name, (0, 1, 2)).runs) == 3 * runs


def test_mask_ratio_is_two_curves_around_the_base_point_and_a_control() -> None:
    (table,) = plan("mask_ratio").tables
    assert {(point.label): point.set for point in table.points} == {
        "base": {},
        "video 50%": {"mask.video": 0.5},
        "video 75%": {"mask.video": 0.75},
        "video 95%": {"mask.video": 0.95},
        "text 15%": {"mask.text": 0.15},
        "text 50%": {"mask.text": 0.5},
        "text 90%": {"mask.text": 0.9},
        "no pre-training": {"pretrain.length": "0 steps"},
    }


def test_sweeps_share_runs() -> None:
    masks, paper = set(plan("mask_ratio").runs), set(plan("paper").runs)
    assert masks < paper
    assert len(masks & set(plan("mask_grid").runs)) == 7
    assert [table.folder for table in plan("paper").tables] == [
        "mask_ratio-tiny",
        "data_fraction-tiny",
        "objectives-tiny",
    ]


def test_runs_that_differ_after_pretraining_share_its_stage() -> None:
    actual = [make_plan("data_fraction", "tiny", base, (0,)) for base in (TINY, _with(TINY, "finetune.lr", 1e-3))]
    first, second = ({run.stage for run in one.runs.values()} for one in actual)
    assert first == second
    assert not set(actual[0].runs) & set(actual[1].runs)


def _with(config: Config, key: str, value: object) -> Config:
    return override(config, {key: value})


def test_equal_compute_gives_cheaper_steps_more_of_them() -> None:
    (table,) = make_plan("mask_ratio_compute", "tiny", CONFIG, (0,)).tables
    steps = {point.label: int(str(point.set["pretrain.length"]).split()[0]) for point in table.points if point.set}
    assert steps["video 50%"] < steps["video 75%"] < 400 < steps["video 95%"]


def test_contrast_of_whole_inputs_at_equal_compute_gets_the_steps_that_its_operations_leave() -> None:
    (table,) = make_plan("contrast_inputs_compute", "tiny", CONFIG, (0,)).tables
    assert [point.label for point in table.points] == ["base", "contrast clean"]
    cost = pretrain_gflop(_with(CONFIG, "objective.contrast", "clean")) / pretrain_gflop(CONFIG)
    steps = int(str(table.points[1].set["pretrain.length"]).split()[0])
    assert 150 < steps < 200
    assert abs(steps * cost - 400) < cost  # to a step


def test_equal_compute_needs_a_length_in_steps() -> None:
    base = _with(TINY, "pretrain.length", "4 epochs")
    with pytest.raises(ConfigError, match=r'pretrain\.length: equal compute needs a length in steps, not "4 epochs"'):
        make_plan("contrast_inputs_compute", "tiny", base, (0,))


def test_a_point_that_cannot_be_run_is_named() -> None:
    base = _with(TINY, "pretrain.batch", 4)
    object.__setattr__(base.mask, "kind", "tub")
    with pytest.raises(ConfigError, match=r"sweep mask_ratio, point 'base': mask\.kind"):
        make_plan("mask_ratio", "tiny", base, (0,))


def test_a_changed_base_is_a_sweep_of_its_own() -> None:
    def folder(**changes: object) -> str:
        base = override(TINY, {key.replace("__", "."): value for key, value in changes.items()})
        return make_plan("mask_ratio", "tiny", base, (0,)).folder

    assert folder() == "mask_ratio-tiny"
    assert re.fullmatch("mask_ratio-tiny-[0-9a-f]{6}", folder(finetune__lr="1e-3"))
    assert folder(finetune__lr="1e-3") == folder(finetune__lr="0.0010")  # however it is typed
    assert folder(finetune__lr="1e-3") != folder(finetune__lr="2e-3")
    assert folder(mask__video="0.90") == folder(machine__threads="2") == "mask_ratio-tiny"  # nothing that counts


def test_seeds_of_an_earlier_call_stay_in_the_record() -> None:
    first, second = plan("objectives", (0, 1)), plan("objectives", (1, 2))
    before = sweep_record(first, first.tables[0], "a", None)
    after = sweep_record(second, second.tables[0], "b", before)
    assert after["seeds"] == [0, 1, 2]
    assert len(after["runs"]) == 15
    assert after["base"] == {key: value for key, value in flatten(TINY).items() if key != "seed"}


def test_every_sweep_of_the_folder_has_a_title_and_points() -> None:
    assert names() == [
        "batch_lengths", "claims", "contrast_inputs", "contrast_inputs_compute", "data_fraction", "data_scarce",
        "decoded_tubes", "decoder", "finetune_lr", "loss_weights", "mask_grid", "mask_kind", "mask_ratio",
        "mask_ratio_compute", "masked_words", "negatives", "objectives", "paper", "temperature", "text_redundancy",
        "towers", "video_redundancy",
    ]  # fmt: skip
    for name in names():
        assert find_sweep(name).title
    with pytest.raises(ConfigError, match="did you mean 'mask_ratio'"):
        find_sweep("mask_rato")


def test_runs_of_another_base_do_not_stay_in_the_record() -> None:
    first = plan("objectives", (0,))
    before = sweep_record(first, first.tables[0], "a", None)
    for key, value, seeds in (("finetune.lr", 1e-3, [1]), ("machine.threads", 2, [0, 1])):
        second = make_plan("objectives", "tiny", override(TINY, {key: value}), (1,))
        assert sweep_record(second, second.tables[0], "b", before)["seeds"] == seeds


def test_objectives_are_named_after_what_is_on_and_hold_only_what_differs() -> None:
    base = override(TINY, {"objective.mvm": 0, "objective.vtm": 0})
    (table,) = make_plan("objectives", "tiny", base, (0,)).tables
    assert {point.label: point.set for point in table.points} == {
        "base": {},
        "MLM": {"objective.vtc": 0.0},
        "no pre-training": {"pretrain.length": "0 steps"},
    }
    nothing = override(TINY, {"pretrain.length": "0 steps"})
    assert next(point.label for point in make_plan("mask_ratio", "tiny", nothing, (0,)).tables[0].points) == "base"
    assert "no pre-training" not in {p.label for p in make_plan("mask_ratio", "tiny", nothing, (0,)).tables[0].points}


def test_ratios_that_mask_the_same_number_of_tubes_are_named_as_one_experiment() -> None:
    frames = make_plan("mask_ratio", "tiny", override(CONFIG, {"mask.kind": "frame"}), (0, 1))
    (line,) = equal_points(frames)
    assert "masks 108 of 144 tubes: base, video 75%, video 95%" in line  # 3 of 4 slots of 36 tubes
    assert equal_points(make_plan("mask_ratio", "tiny", TINY, (0,))) == []
    assert equal_points(make_plan("towers", "tiny", TINY, (0,))) == []
