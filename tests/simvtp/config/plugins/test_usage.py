"""Fields of plugins in a config: typed, kept, in the ids, and read where the plugin is not loaded."""

import json
from pathlib import Path

import pytest

from simvtp.config.plugins import loading, registry
from simvtp.config.plugins.loading import load_plugin
from simvtp.config.plugins.usage import active
from simvtp.config.presets import preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import flatten, override, unflatten
from simvtp.errors import ConfigError
from tests.simvtp.config.plugins.own import EVALUATOR, OBJECTIVE

pytestmark = pytest.mark.usefixtures("plugins_apart")
TINY = preset("tiny")
ON = {"objective.extra": "1"}


def write(folder: Path, name: str, source: str) -> str:
    path = folder / f"{name}.py"
    path.write_text(source)
    return str(path)


def forget() -> None:
    for known in (registry.EXTENSIONS, registry.FIELDS, loading._loaded):
        known.clear()


@pytest.fixture
def objective(tmp_path: Path) -> str:
    path = write(tmp_path, "extra_objective", OBJECTIVE)
    load_plugin(path)
    return path


def test_a_plugin_that_is_not_used_changes_no_config(objective: str) -> None:  # noqa: ARG001
    assert override(TINY, {"objective.extra": 0}) == TINY
    assert flatten(TINY)["objective.extra"] == 0.0
    assert "objective.extra" not in list(flatten(TINY))


def test_the_fields_of_one_that_is_on_are_all_kept(objective: str) -> None:
    config = override(TINY, {"objective.extra": "0.5", "objective.extra.power": "3"})
    assert dict(config.extra) == {"objective.extra": 0.5, "objective.extra.power": 3}
    assert dict(override(TINY, ON).extra) == {"objective.extra": 1.0, "objective.extra.power": 2}
    digest = registry.EXTENSIONS["objective.extra"].plugin.digest
    assert config.plugins == f"objective.extra={objective}#{digest}"
    weight, made = active(config, "objective")["extra"]
    assert (weight, made.power) == (0.5, 3)


def test_an_option_that_is_set_before_its_objective_is_on_stays(objective: str) -> None:  # noqa: ARG001
    base = override(TINY, {"objective.extra.power": 3})
    assert dict(override(base, ON).extra) == {"objective.extra": 1.0, "objective.extra.power": 3}
    assert run_id(base) == run_id(TINY)  # it is off


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective.extra": "-1"}, "it takes a number from 0"),
        ({"objective.extra.power": "10"}, r"it takes a whole number in \[1, 9\]"),
        ({"objective.extra.pwer": "2"}, "did you mean 'objective.extra.power'"),
        ({"objective.extr": "1"}, "did you mean 'objective.extra'"),
        ({"plugins": "x"}, "filled in by what --plugin loads"),
    ],
)
def test_values_are_checked(objective: str, changes: dict[str, str], message: str) -> None:  # noqa: ARG001
    with pytest.raises(ConfigError, match=message):
        override(TINY, changes)


def test_ids_follow_the_values_and_the_code(tmp_path: Path, objective: str) -> None:
    one, other = override(TINY, ON), override(TINY, {**ON, "objective.extra.power": 3})
    ids = {pretrain_id(config) for config in (TINY, one, other)}
    assert len(ids) == 3
    assert run_id(one) != run_id(TINY)
    forget()
    Path(objective).write_text(OBJECTIVE.replace("import dataclass\n", "import dataclass  # a comment\n"))
    load_plugin(objective)
    assert pretrain_id(override(TINY, ON)) == pretrain_id(one)
    forget()
    load_plugin(write(tmp_path, "elsewhere", OBJECTIVE))
    assert pretrain_id(override(TINY, ON)) != pretrain_id(one)  # a file of another name is another plugin
    forget()
    Path(objective).write_text(OBJECTIVE.replace("1e9", "2e9"))
    load_plugin(objective)
    assert pretrain_id(override(TINY, ON)) != pretrain_id(one)
    assert run_id(TINY) == run_id(override(TINY, {}))


def test_an_evaluator_counts_in_the_run_and_not_in_pre_training(tmp_path: Path) -> None:
    load_plugin(write(tmp_path, "norm_evaluator", EVALUATOR))
    config = override(TINY, {"evaluate.norm": "true"})
    assert pretrain_id(config) == pretrain_id(TINY)
    assert run_id(config) != run_id(TINY)


def test_a_config_from_disk_is_read_without_its_plugin(objective: str) -> None:
    config = override(TINY, ON)
    text = json.loads(json.dumps(flatten(config)))
    assert unflatten(text) == config
    forget()
    again = unflatten(text)
    assert again == config
    assert (run_id(again), pretrain_id(again)) == (run_id(config), pretrain_id(config))
    with pytest.raises(ConfigError, match=f"--plugin {objective}"):
        active(again, "objective")
    off = override(again, {"objective.extra": 0, "objective.extra.power": 2})
    assert run_id(off) == run_id(TINY)


def test_what_is_off_in_a_sweeps_record_needs_no_plugin() -> None:
    assert unflatten({**flatten(TINY), "objective.extra": 0.0}) == TINY
    with pytest.raises(ConfigError, match=r"objective\.extra: no plugin that is loaded has it"):
        unflatten({**flatten(TINY), "objective.extra": 1.0})


def test_a_plugin_that_was_changed_since_is_refused(objective: str) -> None:
    text = flatten(override(TINY, ON))
    forget()
    Path(objective).write_text(OBJECTIVE.replace("1e9", "2e9"))
    load_plugin(objective)
    with pytest.raises(ConfigError, match="not the one that this config was made with"):
        unflatten(text)


def test_an_objective_of_a_plugin_may_be_the_only_one(objective: str) -> None:  # noqa: ARG001
    off = {f"objective.{name}": 0 for name in ("mvm", "mlm", "vtc", "vtm")}
    override(TINY, {**off, **ON})
    with pytest.raises(ConfigError, match="all four objectives are off"):
        override(TINY, off)
