"""Results of other code are named and not mixed: what counts as other, and the three ways to go on."""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import simvtp
from simvtp.config import code_version
from simvtp.config.code_version import OtherCode, Stage, files_of, strip
from simvtp.config.experiment import Experiment
from simvtp.config.presets import preset
from simvtp.config.run_id import run_id
from simvtp.config.schema import override
from simvtp.evaluate import evaluate
from simvtp.finetune import finetune
from simvtp.pretrain import pretrain
from simvtp.run import run
from simvtp.runtime import signals
from simvtp.runtime.locks import Busy, Lock
from simvtp.runtime.signals import Interrupted

ROOT = Path(simvtp.__file__).parent.parent
KEEP = "def f(x):\n    y = x + 1\n    return y\n"


def tree(source: str) -> str:
    return ast.dump(strip(ast.parse(source)))


@pytest.mark.parametrize(
    ("source", "same"),
    [
        ("# a comment\ndef f(x):  # another\n\n    y = (x + 1)\n    return y\n", True),
        ('"""The module."""\ndef f(x):\n    """What f does."""\n    y = x + 1\n    return y\n', True),
        ("def f(x):\n    y = x + 1\n    log.info('y is %d', y)\n    return y\n", True),
        (KEEP + "def _main():\n    print(f(1))\n", True),
        ("def f(x):\n    y = x + 2\n    return y\n", False),
        ("def f(x, z=0):\n    y = x + 1\n    return y\n", False),
    ],
)
def test_formatting_comments_docstrings_and_log_lines_do_not_count(source: str, same: bool) -> None:
    assert (tree(source) == tree(KEEP)) is same


def test_what_a_stage_imports_counts_but_for_what_cannot_change_it() -> None:
    assert {"simvtp/pretrain.py", "simvtp/models/objectives.py", "simvtp/data/transforms.py"} <= set(
        files_of("pretrain")
    )
    assert "simvtp/evaluation/metrics.py" in files_of("finetune")  # the epoch is chosen by them
    assert "simvtp/evaluation/metrics.py" not in files_of("pretrain")
    counted = {name for stage in code_version.STAGES for name in files_of(stage)}
    assert not [name for name in counted if name.startswith(("simvtp/inference/", "simvtp/cli", "sweeps", "analysis"))]


def edit(monkeypatch: pytest.MonkeyPatch, *stages: Stage) -> None:
    """From here on, as if simvtp/models/objectives.py had been edited, for some stages only."""

    def edited(stage: Stage) -> Mapping[str, str]:
        return {**files_of(stage), "simvtp/models/objectives.py": "edited"} if stage in stages else files_of(stage)

    monkeypatch.setattr(code_version, "files_of", edited)


def test_a_result_of_other_code_is_refused_reused_or_made_anew(
    quick: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = override(preset("tiny"), quick)
    path = run(Experiment(config, "tiny", tmp_path))
    first, stage = path.read_bytes(), Experiment(config, "tiny", tmp_path).pretrain_dir
    assert stage is not None
    code = json.loads(first)["code"]
    assert set(code) == {"pretrain", "finetune", "evaluate"}
    assert json.loads((stage / "stage.json").read_text())["code"] == {"pretrain": code["pretrain"]}

    edit(monkeypatch, "pretrain", "finetune", "evaluate")
    with pytest.raises(OtherCode, match=r"changed: simvtp/models/objectives.py\..*--reuse-other-code.*--tag.*--redo"):
        run(Experiment(config, "tiny", tmp_path))
    reuse = override(config, {"machine.other_code": "reuse"})
    assert run(Experiment(reuse, "tiny", tmp_path)) == path
    assert path.read_bytes() == first
    tagged = override(config, {"tag": "edited"})
    assert run_id(tagged) != run_id(config)
    assert not Experiment(tagged, "tiny", tmp_path).is_done("evaluate")

    redo = override(config, {"machine.other_code": "redo"})
    again = json.loads(run(Experiment(redo, "tiny", tmp_path)).read_text())
    assert not set(again["code"].values()) & set(code.values())
    assert again["ranks"] == json.loads(first)["ranks"]  # the edit was none
    assert run(Experiment(config, "tiny", tmp_path)) == path


def test_a_result_without_a_record_of_its_code_counts_as_other(quick: dict[str, str], tmp_path: Path) -> None:
    experiment = Experiment(override(preset("tiny"), quick), "tiny", tmp_path)
    experiment.dir.mkdir(parents=True)
    (experiment.dir / "result.json").write_text(json.dumps({"version": 1}))
    with pytest.raises(OtherCode, match="not recorded"):
        experiment.is_done("evaluate")


def test_checkpoints_of_other_code_are_not_gone_on_from_unless_asked(
    quick: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = override(preset("tiny"), {**quick, "machine.checkpoint_seconds": "0.001"})
    experiment = Experiment(config, "tiny", tmp_path)
    stopping = signals.stop_requested
    monkeypatch.setattr(stopping, "number", 15)
    with pytest.raises(Interrupted):
        pretrain(experiment)
    monkeypatch.setattr(stopping, "number", 0)
    assert experiment.pretrain_dir is not None
    assert list(experiment.pretrain_dir.glob("checkpoints/step-*.pt"))

    edit(monkeypatch, "pretrain")
    with pytest.raises(OtherCode, match="has checkpoints of other code"):
        pretrain(experiment)
    assert list(experiment.pretrain_dir.glob("checkpoints/step-*.pt"))
    pretrain(Experiment(override(config, {"machine.other_code": "reuse"}), "tiny", tmp_path))
    recorded = json.loads((experiment.pretrain_dir / "stage.json").read_text())["code"]["pretrain"]
    assert recorded.endswith(f"+{code_version.digest_of('pretrain')}")  # of two codes, and so of other code than each
    with pytest.raises(OtherCode):
        pretrain(experiment)


def test_an_edited_loss_is_named_by_a_dry_run_and_refused(quick: dict[str, str], tmp_path: Path) -> None:
    config = override(preset("tiny"), quick)
    run(Experiment(config, "tiny", tmp_path / "results"))
    for package in ("simvtp", "sweeps"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    words = [sys.executable, "sweeps/run.py", "towers", "--results", "results", "--cluster", "local"]
    words += [word for key, value in quick.items() for word in ("--set", f"{key}={value}")]

    def call(*more: str) -> "subprocess.CompletedProcess[str]":
        here = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run([*words, *more], cwd=tmp_path, env=here, capture_output=True, text=True, check=False)

    objectives = tmp_path / "simvtp" / "models" / "objectives.py"
    source = objectives.read_text()
    objectives.write_text("# a comment\n" + source)
    assert "other code" not in call("--dry-run").stdout
    objectives.write_text(source.replace("def contrastive_loss(", "EDITED = 1\n\n\ndef contrastive_loss("))
    dry = call("--dry-run")
    assert "of other code than this; changed: simvtp/models/objectives.py." in " ".join(dry.stdout.split()), dry.stderr
    refused = call()
    assert refused.returncode == 2
    assert "--reuse-other-code" in refused.stderr
    assert json.loads((tmp_path / "results" / "runs" / run_id(config) / "result.json").read_text())


def test_redo_deletes_nothing_while_another_process_is_at_it(tmp_path: Path) -> None:
    experiment = Experiment(override(preset("tiny"), {"machine.other_code": "redo"}), "tiny", tmp_path)
    assert experiment.pretrain_dir is not None
    made = [experiment.pretrain_dir / "stage.json", experiment.dir / "finetuned.json", experiment.dir / "result.json"]
    for path in (*made, experiment.pretrain_dir / "weights.safetensors"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")  # of a code that is not recorded
    for stage in (pretrain, finetune, evaluate):
        folder = experiment.pretrain_dir if stage is pretrain else experiment.dir
        with Lock(folder / "lock"), pytest.raises(Busy, match=r"is in use by .*--status"):
            stage(experiment)
    assert [path.exists() for path in made] == [True] * 3
    assert not experiment.is_done("evaluate", is_locked=True)
    assert [path.exists() for path in made] == [True, True, False]
