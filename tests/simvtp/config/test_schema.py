import json
import subprocess
import sys

import pytest

from simvtp.config.presets import PRESETS, preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import completed, flatten, later_fields, override, parse_assignments, unflatten
from simvtp.config.validation import steps_of
from simvtp.errors import ConfigError

TINY = preset("tiny")


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_config_survives_json(name: str) -> None:
    config = preset(name)
    assert unflatten(json.loads(json.dumps(flatten(config)))) == config


def test_text_as_typed_takes_the_type_of_the_field() -> None:
    changed = override(TINY, {"mask.video": "0.5", "objective.vtc": "false", "seed": "3", "machine.frame_cache": "off"})
    assert (changed.mask.video, changed.objective.vtc, changed.seed, changed.machine.frame_cache) == (
        0.5,
        0.0,
        3,
        False,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask.vide": 0.5}, "did you mean 'mask.video'"),
        ({"video": 0.5}, "did you mean 'mask.video'"),
        ({"mask.video": 1.0}, r"mask.video: 1.0 .* \[0, 1\)"),
        ({"mask.text": -0.1}, r"mask.text: -0.1 .* \[0, 1\)"),
        ({"mask.text": "nan"}, "mask.text: nan .* a finite number"),
        ({"mask.kind": "tubes"}, "did you mean 'tube'"),
        ({"data.fraction": 0}, r"data.fraction: 0.0 .* \(0, 1\]"),
        ({"model.frames": 7}, "a multiple of 2"),
        ({"model.frames": 7.5}, "is not a whole number"),
        ({"objective.vtc": "fals"}, "is not a number"),
        ({"pretrain.length": "many"}, 'pretrain.length: "many" is not a length'),
        ({f"objective.{name}": 0 for name in ("mvm", "mlm", "vtc", "vtm")}, "all four objectives are off"),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_field(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(TINY, changes)


def test_assignments() -> None:
    assert parse_assignments(["a=b=c", "d = 1"]) == {"a": "b=c", "d": "1"}
    with pytest.raises(ConfigError, match="key=value"):
        parse_assignments(["mask.video"])


def test_unknown_preset() -> None:
    with pytest.raises(ConfigError, match="did you mean 'small'"):
        preset("smal")


def test_steps() -> None:
    assert steps_of("600 steps", 10) == 600
    assert steps_of("2.5 epochs", 10) == 25
    assert steps_of("1 epoch", 7) == 7
    with pytest.raises(ConfigError, match="whole number of steps"):
        steps_of("1.5 steps", 10)


def ids(**changes: object) -> tuple[str, str | None]:
    config = override(TINY, {key.replace("__", "."): value for key, value in changes.items()})
    return run_id(config), pretrain_id(config)


def test_ids_name_what_can_change_the_outcome_and_nothing_else() -> None:
    run, stage = ids()
    assert ids(machine__threads=7, machine__workers=3) == (run, stage)
    assert ids(data__fraction=1, objective__vtc=True) == (run, stage)  # 1 is 1.0, true is 1.0
    assert ids(finetune__lr=1e-3)[0] != run
    assert ids(finetune__lr=1e-3)[1] == stage
    for changes in ({"mask__video": 0.5}, {"seed": 1}, {"data__fraction": 0.5}, {"objective__vtm": 0}):
        other = ids(**changes)
        assert other[0] != run
        assert other[1] != stage


def test_settings_of_what_is_off_do_not_count() -> None:
    assert ids(objective__mvm=0, model__decoder_width=64) == ids(objective__mvm=0)
    assert ids(model__decoder_width=64) != ids()
    off = {"objective__vtc": 0, "objective__temperature": 0.1}
    assert ids(**off)[1] == ids(objective__vtc=0)[1]
    assert ids(**off)[0] != ids(objective__vtc=0)[0]  # fine-tuning has a temperature too


def test_without_pretraining_its_settings_do_not_count() -> None:
    run, stage = ids(pretrain__length="0 steps")
    assert stage is None
    assert ids(pretrain__length="0 epochs", mask__video=0.5, objective__vtc=0, data__fraction=0.1) == (run, None)


def test_base_is_the_papers_recipe() -> None:
    flat = flatten(preset("base"))
    wanted = {
        "model.frames": 16, "model.size": 224, "model.tube_frames": 2, "model.patch": 16, "model.width": 768,
        "model.depth": 12, "model.heads": 12, "model.decoder_width": 384, "model.decoder_depth": 4,
        "model.decoder_heads": 6, "mask.video": 0.9, "mask.text": 0.75, "mask.kind": "tube", "data.stride": 4,
        "objective.temperature": 0.05, "pretrain.length": "200 epochs", "pretrain.warmup": "40 epochs",
        "pretrain.batch": 1024, "pretrain.lr": 1.5e-4, "pretrain.lr_start": 1e-6, "pretrain.lr_end": 1e-5,
        "pretrain.beta1": 0.9, "pretrain.beta2": 0.95, "pretrain.weight_decay": 0.05, "finetune.length": "100 epochs",
        "finetune.warmup": "5 epochs", "finetune.batch": 64, "finetune.lr": 3e-4, "finetune.beta2": 0.999,
        "finetune.layer_decay": 0.75, "finetune.drop_path": 0.1, "evaluate.segments": 3, "evaluate.crops": 3,
    }  # fmt: skip
    assert {key: flat[key] for key in wanted} == wanted
    assert flat["finetune.lr_end"] * 64 / 256 == pytest.approx(1e-6)


def test_reading_a_config_does_not_load_torch() -> None:
    code = "import sys, simvtp.config.presets, simvtp.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_field_that_came_later_is_in_no_id_at_what_the_code_did_before_and_old_files_mean_that() -> None:
    values = flatten(TINY)
    old = {key: value for key, value in values.items() if key not in later_fields()}
    assert "mask.words" not in old
    assert unflatten(old) == TINY
    assert completed(old) == values
    assert run_id(unflatten({**old, "mask.words": "kept"})) == run_id(TINY)
    assert run_id(unflatten({**old, "mask.words": "dropped"})) != run_id(TINY)
    assert pretrain_id(unflatten({**old, "evaluate.rerank": 5})) == pretrain_id(TINY)
