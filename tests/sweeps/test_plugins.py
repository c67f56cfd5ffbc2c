"""A sweep with a plugin: jobs run the plugin as it was planned, and the results are read without it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import analysis
from simvtp.config.plugins.loading import load_plugin
from simvtp.config.presets import preset
from simvtp.config.schema import flatten, override
from sweeps.definition import Point, Sweep
from sweeps.plan import make_plan, sweep_record
from sweeps.state.submissions import Item, Submissions
from tests.conftest import QUICK
from tests.simvtp.config.plugins.own import EVALUATOR, OBJECTIVE

ROOT = Path(__file__).parents[2]
QUICKER = {**QUICK, "pretrain.length": "2 steps", "pretrain.warmup": "1 steps", "finetune.length": "1 epochs"}


def sweep(plugin: Path, results: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    settings = [f"--set={key}={value}" for key, value in QUICKER.items()]
    line = [sys.executable, "sweeps/run.py", "towers", *settings, "--results", str(results)]
    line += ["--set=objective.extra=1", "--plugin", str(plugin), *words]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.usefixtures("corpus_cache")
def test_jobs_run_the_plugin_of_the_command(tmp_path: Path) -> None:
    plugin, results = tmp_path / "extra_objective.py", tmp_path / "results"
    plugin.write_text(OBJECTIVE)
    done = sweep(plugin, results, "--cluster", "local", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    (copy,) = results.glob("code/*/plugins/*/extra_objective.py")
    assert copy.read_text() == OBJECTIVE
    plugin.write_text(OBJECTIVE.replace("1e9", "2e9"))
    dry = sweep(plugin, results, "--dry-run")
    assert "0 cached, 2 would start" in dry.stdout, dry.stdout + dry.stderr
    plugin.unlink()
    actual = analysis.load(results)  # without the plugin
    collection = actual.collection
    (table,) = collection.sweeps
    assert not collection.skipped
    assert set(table.runs.values()) == set(collection.runs)
    assert actual.runs["losses.extra"].notna().all()
    line = [sys.executable, "analysis/table.py", str(results)]
    shown = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr


@pytest.mark.usefixtures("plugins_apart")
def test_a_record_has_the_options_of_what_only_a_point_switches_on(tmp_path: Path) -> None:
    """As analysis compares them: the record's base with a point's changes are the settings of its run."""
    (tmp_path / "extra_objective.py").write_text(OBJECTIVE)
    load_plugin(str(tmp_path / "extra_objective.py"))
    study = Sweep("Extra or not", points=(Point("extra", {"objective.extra": 0.5}),))
    plan = make_plan("mine", "tiny", preset("tiny"), (0,), study)
    record = sweep_record(plan, plan.tables[0], "command", None)
    assert record["base"]["objective.extra.power"] == 2
    run = plan.runs[record["runs"][1]["run"]]
    assert {**record["base"], **record["points"][1]["set"], "seed": 0} == flatten(run.config)


@pytest.mark.usefixtures("plugins_apart")
def test_items_of_one_array_may_differ_in_their_plugins(tmp_path: Path) -> None:
    for name, source in (("extra_objective", OBJECTIVE), ("norm_evaluator", EVALUATOR)):
        (tmp_path / f"{name}.py").write_text(source)
        load_plugin(str(tmp_path / f"{name}.py"))
    changes = [{"objective.extra": 1, "objective.extra.power": 3}, {}, {"evaluate.norm": True}]
    configs = [override(preset("tiny"), change) for change in changes]
    submissions = Submissions(tmp_path)
    record = submissions.open("tiny", [[Item("run", str(i), config)] for i, config in enumerate(configs)], {})
    shutil.rmtree(tmp_path / "runs")
    read = submissions.read(record.token)
    assert read is not None
    assert [flatten(read.items(task)[0].config) for task in range(3)] == [flatten(config) for config in configs]
