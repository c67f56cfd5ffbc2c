"""What an objective reaches is measured beside what needs no learning, and the rules of `learned` are kept."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from simvtp.config.experiment import Experiment
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.data.corpora.registry import scenes_of
from simvtp.data.from_config import tokenizer_of
from simvtp.data.resolve import resolved
from simvtp.evaluate import evaluate
from simvtp.evaluation.ridge_baselines import one_clip_each, ridge, shifts
from simvtp.evaluation.yardsticks import LEARNED, held_out_batches, yardsticks
from simvtp.finetune import finetune
from simvtp.models.objectives import losses
from simvtp.pretrain import pretrain
from simvtp.runtime.cache_dir import cache_folder
from simvtp.training.load import pretrained_model
from tests.simvtp.evaluation.film_corpus import film_corpus
from tests.simvtp.processes import together
from tests.small_config import CONFIG


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


def barely_trained(quick: dict[str, str], results: Path, **changes: object) -> Experiment:
    named = {key.replace("__", "."): value for key, value in changes.items()}
    return Experiment(override(preset("tiny"), {**quick, "pretrain.length": "2 steps", **named}), "tiny", results)


def measured(experiment: Experiment, split: str = "test") -> dict[str, Any]:
    return yardsticks(experiment, tokenizer_of(experiment.config), torch.device("cpu"), split)


def test_a_model_that_learned_nothing_is_told_so(quick: dict[str, str], results: Path) -> None:
    experiment = barely_trained(quick, results)
    pretrain(experiment)
    values = measured(experiment, "val")
    assert values["split"] == "val"
    assert values["mvm"]["floor"] == pytest.approx(1.0, abs=0.1)
    assert values["mvm"]["oracle"] < 0.2 < values["mvm"]["linear"]
    assert values["mvm"]["loss"] == pytest.approx(values["mvm"]["wrong_caption"], abs=0.05)
    assert values["mlm"]["wrong_video"] == pytest.approx(values["mlm"]["loss"], abs=0.1)
    assert values["vtm"]["floor"] == pytest.approx(math.log(2))
    assert values["vtc"]["floor"] == pytest.approx(2 * math.log(12))  # the gallery is one batch of 12
    assert not any(values[name]["learned"] for name in ("mvm", "mlm", "vtm"))
    retrieval = values["retrieval"]
    assert retrieval["chance"] == pytest.approx(100 / 12)
    assert retrieval["chance"] <= retrieval["features"] <= retrieval["ceiling"] <= 100


def test_the_result_of_a_run_holds_them(quick: dict[str, str], results: Path) -> None:
    experiment = barely_trained(quick, results, finetune__length="1 epochs")
    pretrain(experiment)
    finetune(experiment)
    content = json.loads(evaluate(experiment).read_text())["yardsticks"]
    assert content == measured(experiment)
    assert set(content) == {"split", "retrieval", "mvm", "mlm", "vtm", "vtc"}


def test_a_model_smaller_than_the_corpus(quick: dict[str, str], results: Path) -> None:
    smaller = barely_trained(quick, results, model__size=32, model__patch=8)
    pretrain(smaller)
    assert measured(smaller)["mvm"]["oracle"] < 0.3
    shorter = barely_trained(quick, results, model__frames=4)
    pretrain(shorter)
    assert "oracle" not in measured(shorter)["mvm"]


def test_only_objectives_that_are_on(quick: dict[str, str], results: Path) -> None:
    experiment = barely_trained(quick, results, objective__vtc=0, objective__mvm=0, mask__words="dropped")
    pretrain(experiment)
    assert set(measured(experiment)) == {"split", "retrieval", "mlm", "vtm"}
    none = barely_trained(quick, results, pretrain__length="0 steps")
    assert set(measured(none)) == {"split", "retrieval"}


def test_losses_are_those_of_training_on_the_same_batch(quick: dict[str, str], results: Path) -> None:
    experiment = barely_trained(quick, results, mask__video=0.5)
    pretrain(experiment)
    config, tokenizer = experiment.config, tokenizer_of(experiment.config)
    (batch,) = held_out_batches(one_clip_each(config, tokenizer, "test"), config, torch.device("cpu"))
    others = torch.arange(16).roll(1)  # every caption with the video before
    with torch.inference_mode():
        wanted = losses(pretrained_model(experiment, tokenizer).eval(), replace(batch.masked, negatives=others), config)
    values = measured(experiment)
    assert {name: values[name]["loss"] for name in wanted} == pytest.approx(
        {name: float(loss) for name, loss in wanted.items()}, rel=1e-5
    )


@pytest.mark.parametrize("inputs", [{"mask__words": "dropped"}, {"model__text_mean": "padded"}])
def test_other_inputs_of_text_and_clean_contrast(inputs: dict[str, str], quick: dict[str, str], results: Path) -> None:
    experiment = barely_trained(quick, results, objective__contrast="clean", **inputs)
    pretrain(experiment)
    values = measured(experiment)
    assert all(math.isfinite(values[name]["loss"]) for name in ("mvm", "mlm", "vtm", "vtc"))


@pytest.mark.parametrize("only", ["mvm", "mlm", "vtc", "vtm"])
def test_an_objective_alone(only: str, quick: dict[str, str], results: Path) -> None:
    off = {f"objective__{name}": 0 for name in ("mvm", "mlm", "vtc", "vtm") if name != only}
    experiment = barely_trained(quick, results, **off)
    pretrain(experiment)
    values = measured(experiment)
    assert set(values) == {"split", "retrieval", only}
    assert math.isfinite(values[only]["loss"])


def test_what_masks_nothing_is_left_out(quick: dict[str, str], results: Path) -> None:
    experiment = barely_trained(quick, results, mask__video=0, mask__text=0)
    pretrain(experiment)
    assert set(measured(experiment)) == {"split", "retrieval", "vtm", "vtc"}


def test_bf16_rounds_no_baseline(quick: dict[str, str], results: Path) -> None:
    bf16 = {"pretrain__precision": "bf16", "finetune__precision": "bf16"}
    experiments = [barely_trained(quick, results, seed=5, **more) for more in ({}, bf16)]
    for experiment in experiments:
        pretrain(experiment)
    exact, rounded = (measured(experiment) for experiment in experiments)
    assert rounded["retrieval"] == exact["retrieval"]
    for name in ("floor", "copy", "linear", "oracle"):
        assert rounded["mvm"][name] == pytest.approx(exact["mvm"][name], rel=1e-6), name
    assert rounded["mvm"]["loss"] == pytest.approx(exact["mvm"]["loss"], rel=0.02)


def test_several_processes_find_what_one_finds(quick: dict[str, str], results: Path, tmp_path: Path) -> None:
    experiment = barely_trained(quick, results, seed=2)
    pretrain(experiment)
    kept = cache_folder() / "yardsticks"
    for file in kept.iterdir():
        file.unlink()
    answers = together(2, tmp_path, measured, experiment)
    assert len(list(kept.iterdir())) == 1
    assert answers == [measured(experiment)] * 2


def on_films(films: dict[str, str], results: Path, **changes: object) -> Experiment:
    named = {key.replace("__", "."): str(value) for key, value in changes.items()}
    short = {"pretrain.length": "2 steps", "pretrain.warmup": "0 steps", "pretrain.batch": "8"}
    return Experiment(resolved(override(CONFIG, {**films, **short, **named})), "tiny", results)


def test_a_corpus_of_files(tmp_path: Path) -> None:
    experiment = on_films(film_corpus(tmp_path, {"train": 24, "val": 2, "test": 8}), tmp_path / "results")
    pretrain(experiment)
    values = measured(experiment)
    assert set(values) == {"split", "retrieval", "mvm", "mlm", "vtm", "vtc"}
    assert "oracle" not in values["mvm"]  # nobody knows what is noise
    assert values["mvm"]["progress"] == pytest.approx(1 - values["mvm"]["loss"] / values["mvm"]["floor"])
    assert (values["retrieval"]["chance"], values["retrieval"]["ceiling"]) == (12.5, 100)
    assert values["retrieval"]["block_means"] == 100  # the test videos are those of training


def test_videos_that_are_not_there(tmp_path: Path) -> None:
    films = film_corpus(tmp_path, {"train": 24, "val": 2, "test": 8})
    (tmp_path / "test2.mp4").unlink()
    for name in ("test5.mp4", "train7.mp4"):
        (tmp_path / name).write_text("<html>404</html>")
    experiment = on_films(films, tmp_path / "results", data__missing="miss", data__failures=0.5)
    pretrain(experiment)
    values = measured(experiment)
    assert (values["retrieval"]["chance"], values["retrieval"]["ceiling"]) == (12.5, 75)
    assert values["retrieval"]["block_means"] == pytest.approx(75)
    assert values["vtm"]["clips"] == 6
    assert values["vtc"]["floor"] == pytest.approx(2 * math.log(6))


def test_too_few_videos_for_a_yardstick(tmp_path: Path) -> None:
    experiment = on_films(film_corpus(tmp_path, {"train": 8, "val": 1, "test": 1}), tmp_path / "results")
    pretrain(experiment)
    assert measured(experiment) == {"split": "test", "retrieval": {"chance": 100, "ceiling": 100}}


def test_the_videos_of_pre_training_may_be_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    films = film_corpus(tmp_path / "second", {"train": 24, "val": 2, "test": 8})
    films["data.pretrain"] = film_corpus(tmp_path / "first", {"train": 8})["data.pretrain"]
    experiment = on_films(films, tmp_path / "results")
    pretrain(experiment)
    shutil.rmtree(tmp_path / "first")
    values = measured(experiment)
    assert set(values) == {"split", "retrieval", "mvm", "mlm", "vtm", "vtc"}
    assert values["retrieval"]["block_means"] == 100
    assert "fitted to the fine-tuning videos alone" in caplog.text


def test_a_run_without_pre_training_needs_no_pre_training_corpus(tmp_path: Path) -> None:
    films = film_corpus(tmp_path, {"train": 24, "val": 2, "test": 8})
    experiment = on_films(films, tmp_path / "results", data__pretrain="csv:nowhere.csv", pretrain__length="0 steps")
    assert measured(experiment)["retrieval"]["block_means"] == 100


@pytest.mark.parametrize(
    ("name", "figures", "learned"),
    [
        ("mvm", {"progress": 0.09}, False),
        ("mvm", {"progress": 0.11}, True),
        ("mlm", {"loss": 2.0, "wrong_video": 2.2, "floor": 3.0}, True),
        ("mlm", {"loss": 2.0, "wrong_video": 2.05, "floor": 3.0}, False),
        ("mlm", {"loss": 3.1, "wrong_video": 3.5, "floor": 3.0}, False),
        ("vtm", {"accuracy": 0.65, "clips": 400}, True),
        ("vtm", {"accuracy": 0.65, "clips": 20}, False),  # within three standard errors of guessing
        ("vtm", {"accuracy": 0.55, "clips": 4000}, False),
        ("vtc", {"loss": 7.0, "floor": 8.0}, True),
        ("vtc", {"loss": 7.9, "floor": 8.0}, False),
    ],
)
def test_what_counts_as_learned(name: str, figures: dict[str, float], learned: bool) -> None:
    assert LEARNED[name](figures) is learned


def test_a_corpus_of_files_knows_no_scenes() -> None:
    assert scenes_of("csv:some.csv", "test") is None


def test_ridge_finds_a_linear_map() -> None:
    features, truth = torch.randn(500, 6), torch.randn(6, 3)
    assert torch.allclose(ridge(features, features @ truth, 1e-3), truth, atol=0.01)


def test_shifts_are_found() -> None:
    still = torch.rand(1, 1, 48, 48).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)[:, :, :48, :48]
    moving = torch.cat([still.roll(4 * t, 3) for t in range(4)], dim=1)  # 4 pixels of 48 are 2 of the thumbnail
    actual = shifts(moving)
    assert actual[0, :3].tolist() == [2, 2, 2]  # along x
    assert actual[0, 3:6].tolist() == [0, 0, 0]  # along y
