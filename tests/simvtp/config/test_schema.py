import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import simvtp
from simvtp.config.formats import parse_assignments, steps_of
from simvtp.config.presets import PRESETS, preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import LATER, completed, flatten, override, unflatten
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
        ({"model.frames": 7}, "a multiple of"),
        ({"model.frames": 7.5}, "is not a whole number"),
        ({"objective.vtc": "fals"}, "is not a number"),
        ({"pretrain.length": "many"}, "pretrain.length: 'many' .* a length such as"),
        ({"pretrain.warmup": "1.5 steps"}, "pretrain.warmup: '1.5 steps' .* a whole number of steps"),
        ({"evaluate.crops": 2}, "evaluate.crops: 2 .* 1 or 3"),
        ({"seed": 2**63}, "seed: 9223372036854775808 is not"),
        ({"seed": "1e999999999"}, "seed: '1e999999999' is not a whole number"),
        ({"data.pretrain": "csv:\udcff.csv"}, "is not UTF-8 text"),
        ({"finetune.group": 5}, "finetune.group: 5 .* divides the 64 rows"),
        ({"pretrain.group": 32, "pretrain.accumulate": 4}, "pretrain.group: 32 .* divides the 16 rows"),
        ({"pretrain.group": 1}, "pretrain.group: 1 is not possible"),
        ({"model.text_mean": "padded", "machine.varlen_attention": "on"}, "counts \\[PAD\\] in; take one"),
        ({"model.text_mean": "padded", "mask.words": "dropped"}, "take words, or mask.words=kept"),
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
    with pytest.raises(ConfigError, match="a whole number of steps"):
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
    assert ids(objective__mvm=0, model__decoder_width=32) == ids(objective__mvm=0)
    assert ids(model__decoder_width=32) != ids()
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
        "pretrain.batch": 1024, "pretrain.lr": 1.5e-4, "pretrain.lr_start": 0.0, "pretrain.lr_end": 1e-5,
        "pretrain.beta1": 0.9, "pretrain.beta2": 0.95, "pretrain.weight_decay": 0.05, "finetune.length": "100 epochs",
        "finetune.warmup": "5 epochs", "finetune.batch": 64, "finetune.lr": 3e-4, "finetune.beta2": 0.999,
        "finetune.layer_decay": 1.0, "finetune.drop_path": 0.1, "evaluate.segments": 3, "evaluate.crops": 3,
    }  # fmt: skip
    assert {key: flat[key] for key in wanted} == wanted
    assert flat["finetune.lr_end"] * 64 / 256 == pytest.approx(2.5e-7)
    assert flat["pretrain.lr_end"] * 1024 / 256 == pytest.approx(4e-5)


def test_reading_a_config_does_not_load_torch() -> None:
    code = "import sys, simvtp.config.presets, simvtp.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_field_that_came_later_is_in_no_id_at_what_the_code_did_before_and_old_files_mean_that() -> None:
    plain = override(TINY, LATER)
    values = flatten(plain)
    old = {key: value for key, value in values.items() if key not in LATER}
    assert "mask.words" not in old
    assert unflatten(old) == plain
    assert completed(old) == values
    assert run_id(unflatten({**old, "mask.words": "kept"})) == run_id(plain)
    assert run_id(unflatten({**old, "mask.words": "dropped"})) != run_id(plain)
    assert pretrain_id(unflatten({**old, "evaluate.rerank": 5})) == pretrain_id(plain)


@pytest.mark.parametrize(
    ("path", "spellings", "kept"),
    [
        ("pretrain.length", ("400 steps", "400steps", "400  steps", "400.0 steps", "400 step"), "400 steps"),
        ("finetune.length", ("2.5 epochs", "2.50epochs", "02.5 epoch"), "2.5 epochs"),
        ("pretrain.warmup", ("0 steps", "0 epochs", "0.0 epochs"), "0 steps"),
        ("mask.video", ("0.5", ".5", "5e-1", 0.5), 0.5),
        ("mask.text", ("0", "-0.0", -0.0, 0, False), 0.0),
        ("objective.vtc", ("1", "1.0", "true", "on", True, 1), 1.0),
        ("objective.learn_temperature", ("true", "ON", "yes", 1, True), True),
        ("model.depth", ("4", "4.0", "4e0", 4.0, 4), 4),
        ("model.positions", ("8x14x14", "8 x 14 x 14", "8X14X14", "08x14x14"), "8x14x14"),
        ("finetune.rand_augment", ("m7-n4", "m7.0-n4", "m07 - n4"), "m7-n4"),
        ("seed", (2**53 + 1, str(2**53 + 1), f"{2**53 + 1}.0"), 2**53 + 1),
    ],
)  # fmt: skip
def test_spellings_of_one_value_are_one_value_and_one_id(
    path: str, spellings: tuple[object, ...], kept: object
) -> None:
    configs = [override(TINY, {path: spelling}) for spelling in spellings]
    for config in configs:
        value = flatten(config)[path]
        assert repr(value) == repr(kept)
    assert len({run_id(config) for config in configs}) == 1
    assert len({pretrain_id(config) for config in configs}) == 1


def test_seeds_above_2_to_the_53_are_told_apart() -> None:
    assert run_id(override(TINY, {"seed": 2**53})) != run_id(override(TINY, {"seed": 2**53 + 1}))


def test_a_config_that_is_built_in_code_is_normalised_too() -> None:
    built = dataclasses.replace(TINY, pretrain=dataclasses.replace(TINY.pretrain, length="400steps", lr_start=0))
    assert (built.pretrain.length, repr(built.pretrain.lr_start)) == ("400 steps", "0.0")


ONE_EDIT = '    blur: float = setting("standard deviation of a blur, pixels", 0.0, within="[0, 4]", source="own")\n'
NEW_FIELD = """
from analysis.stats.summary import _finetune_settings
from simvtp.config.__main__ import rows
from simvtp.config.presets import preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import flatten, override
from simvtp.errors import ConfigError
from sweeps.definition import choices

tiny = preset("tiny")
changed = override(tiny, {"data.blur": "2"})
assert (flatten(tiny)["data.blur"], changed.data.blur) == (0.0, 2.0)
try:
    override(tiny, {"data.blur": 5})
except ConfigError as error:
    assert str(error) == "data.blur: 5.0 is not possible; it takes a number in [0, 4]", error
else:
    raise AssertionError
assert ("data.blur", "0.0", "standard deviation of a blur, pixels", "own") in rows("base", [])
assert run_id(changed) != run_id(tiny) and pretrain_id(changed) != pretrain_id(tiny)
assert [point.label for point in choices("data.blur", (1, 2))] == ["blur 1", "blur 2"]
assert "data.blur" in _finetune_settings(flatten(changed))
print(run_id(tiny))
"""


def test_a_field_is_added_by_one_edit(tmp_path: Path) -> None:
    """Validation, `show`, ids, labels and the lists of analysis know a field from its one line."""
    root = Path(simvtp.__file__).parent.parent
    for package in ("simvtp", "sweeps", "analysis"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    schema = tmp_path / "simvtp" / "config" / "schema.py"
    schema.write_text(schema.read_text().replace("class Data:\n", "class Data:\n" + ONE_EDIT))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", NEW_FIELD], env=environment, cwd=tmp_path, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{run_id(TINY)}\n"  # at its default it is in no id


def test_old_configs_may_name_removed_fields_and_a_command_line_may_not() -> None:
    old = {**flatten(preset("base")), "machine.products": "auto", "machine.recompute": True}
    assert unflatten(old) == preset("base")
    with pytest.raises(ConfigError, match=r"machine\.recompute .*machine\.checkpointing"):
        override(preset("base"), {"machine.recompute": "on"})
