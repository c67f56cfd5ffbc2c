"""Runs that start from weights of others: what they are, what they give, and what they need afterwards."""

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from analysis.runs.load import load
from analysis.runs.provenance import command_of
from simvtp.cli import add_config_arguments
from simvtp.config.experiment import Experiment
from simvtp.config.file_digests import pinned_weights
from simvtp.config.presets import preset
from simvtp.config.run_id import pretrain_id
from simvtp.config.schema import Config, override
from simvtp.data.resolve import experiment_from, resolved
from simvtp.errors import ConfigError
from simvtp.models.pretrained_weights import read_pretrained
from simvtp.pretrain import pretrain
from simvtp.run import run
from sweeps.plan import make_plan, sweep_record
from tests.simvtp.processes import together

ZERO_SHOT = {"finetune.length": "0 steps", "finetune.warmup": "0 steps", "evaluate.rerank": "3"}


def outcome(config: Config, results: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(run(Experiment(config, "tiny", results)).read_text())
    return content


@pytest.fixture
def trained(quick: dict[str, str], tmp_path: Path) -> Path:
    """The weights of a stage of eight steps."""
    weights = pretrain(Experiment(override(preset("tiny"), quick), "tiny", tmp_path / "first"))
    assert weights is not None
    return weights


def test_zero_shot_from_given_weights_is_that_of_the_run_that_made_them(
    quick: dict[str, str], trained: Path, tmp_path: Path
) -> None:
    made = outcome(override(preset("tiny"), {**quick, **ZERO_SHOT}), tmp_path / "first")
    given = {**quick, **ZERO_SHOT, "pretrain.length": "0 steps", "model.init": str(trained)}
    again = outcome(resolved(override(preset("tiny"), given)), tmp_path / "second")
    assert set(again["metrics"]) == {"test", "test_last_epoch", "test_reranked_3", "test_seen", "validation"}
    assert again["ranks"] == made["ranks"]
    assert not (tmp_path / "second" / "pretrained").exists()


def test_a_judge_that_the_weights_lack_is_missed_before_training(
    quick: dict[str, str], trained: Path, tmp_path: Path
) -> None:
    tensors = {k: v for k, v in safetensors.torch.load_file(trained).items() if not k.startswith("matching_head")}
    safetensors.torch.save_file(tensors, tmp_path / "headless.safetensors")
    changes = {"pretrain.length": "0 steps", "model.init": str(tmp_path / "headless.safetensors")}
    with pytest.raises(ConfigError, match=r"evaluate.rerank: .*headless.safetensors.* holds no matching head"):
        run(Experiment(override(preset("tiny"), {**quick, **changes, "evaluate.rerank": "3"}), "tiny", tmp_path))
    assert not list(tmp_path.glob("runs/*/log.jsonl"))


def test_training_goes_on_from_them_in_two_processes_as_in_one(
    quick: dict[str, str], trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "simvtp")
    config = resolved(override(preset("tiny"), {**quick, "model.init": str(trained), "model.dropout": "0"}))
    alone = pretrain(Experiment(config, "tiny", tmp_path / "alone"))
    assert alone is not None
    count = len(safetensors.torch.load_file(trained))
    assert f"model.init loaded {count} of {count} tensors" in caplog.text
    together(2, tmp_path, pretrain, Experiment(config, "tiny", tmp_path / "both"))
    both = tmp_path / "both" / "pretrained" / str(pretrain_id(config)) / "weights.safetensors"
    start, one, two = (safetensors.torch.load_file(path) for path in (trained, alone, both))
    moved = sum(float((one[name] - start[name]).square().sum()) for name in start) ** 0.5
    apart = sum(float((one[name] - two[name]).square().sum()) for name in start) ** 0.5
    assert moved > 0.1
    assert apart < 2e-3 * moved
    scratch = pretrain(Experiment(override(config, {"model.init": ""}), "tiny", tmp_path / "scratch"))
    assert scratch is not None
    other = safetensors.torch.load_file(scratch)
    assert any(not torch.equal(other[name], one[name]) for name in start)


def test_results_are_read_where_the_weights_are_gone(quick: dict[str, str], trained: Path, tmp_path: Path) -> None:
    changes = {**quick, **ZERO_SHOT, "evaluate.rerank": "0", "pretrain.length": "0 steps", "model.init": str(trained)}
    base, results = resolved(override(preset("tiny"), changes)), tmp_path / "results"
    plan = make_plan("towers", "tiny", base, [0])
    for planned in plan.runs.values():
        run(Experiment(planned.config, "tiny", results))
    (table,) = plan.tables
    folder = results / "sweeps" / table.folder
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(json.dumps(sweep_record(plan, table, "python sweeps/run.py towers", None)))
    trained.unlink()
    collection = load(results)
    assert set(collection.runs) == set(plan.runs)
    for result in collection.runs.values():
        line = command_of(result.config, "tiny", result.id)
        assert f"model.init={base.model.init}" in line
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    with pytest.raises(ConfigError, match=rf"model.init: {trained} does not exist"):
        experiment_from(parser.parse_args(["--set", f"model.init={base.model.init}"]))


PATCHES, NORM = "encoder.patch_embed.proj.weight", "encoder.norm.weight"


@pytest.mark.parametrize(
    "tensors",
    [
        {PATCHES: torch.tensor(1.0), "encoder.pos_embed": torch.tensor(1.0)},
        {PATCHES: torch.zeros(64, 3, 2, 8, 8), NORM: torch.zeros(64), "encoder.pos_embed": torch.zeros(0, 64)},
    ],
)
def test_tensors_of_odd_shapes_are_refused_with_the_file(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(tensors, tmp_path / "odd.pth")
    with pytest.raises(ConfigError, match=r"model\.init: .*odd\.pth"):
        read_pretrained(str(tmp_path / "odd.pth"), preset("tiny").model)


@pytest.mark.parametrize(
    "said", ["[]", "null", '{"num_frames": 16, "tubelet_size": 0, "image_size": [4], "patch_size": "8"}']
)
def test_a_config_json_of_another_kind_is_refused_with_the_folder(said: str, tmp_path: Path) -> None:
    tensors = {"videomae.embeddings.patch_embeddings.projection.weight": torch.zeros(64, 3, 2, 8, 8),
               "videomae.layernorm.weight": torch.zeros(64)}  # fmt: skip
    safetensors.torch.save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(said)
    with pytest.raises(ConfigError, match=rf"model\.init: {tmp_path}.* cannot be used as weights"):
        read_pretrained(str(tmp_path), preset("tiny").model)


@pytest.mark.parametrize(
    "index", ["[" * 100_000, '{"weight_map": {"a": 5}}', f'{{"weight_map": {{"a": "{"a" * 300}"}}}}']
)
def test_an_index_of_another_kind_is_refused_with_the_file(index: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ConfigError, match=r"model\.safetensors\.index\.json"):
        pinned_weights(str(tmp_path))
