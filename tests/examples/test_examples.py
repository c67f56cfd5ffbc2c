"""The plugins in examples/ do what their docstrings say, and train on the embedded corpus."""

import dataclasses
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from simvtp.config.experiment import Experiment
from simvtp.config.plugins import registry
from simvtp.config.plugins.loading import load_plugin
from simvtp.config.run_id import pretrain_id
from simvtp.config.schema import override
from simvtp.data.corpora.registry import load, read_records
from simvtp.data.from_config import augmentation_of
from simvtp.data.resolve import resolved
from simvtp.errors import DataError
from simvtp.evaluation.evaluator import EncodedGallery, evaluated
from simvtp.models.flops import pretrain_gflop
from simvtp.models.masking import draw_video_mask
from simvtp.run import run
from tests.small_config import CONFIG, CORPUS

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.usefixtures("plugins_apart")


def example(name: str) -> None:
    load_plugin(str(EXAMPLES / f"{name}.py"))


@pytest.mark.slow
def test_all_of_them_train_together_and_are_in_the_result(quick: dict[str, str], tmp_path: Path) -> None:
    for name in ("masked_features", "border_mask", "spread_evaluator", "grey_augmentation"):
        example(name)
    added = {"objective.features": 1, "mask.kind": "border", "evaluate.spread": True, "pretrain.grey": 0.5}
    experiment = Experiment(override(CONFIG, {**quick, "finetune.length": "1 epochs", **added}), "tiny", tmp_path)
    result = json.loads(run(experiment).read_text())
    assert set(result["losses"]) == {"mvm", "mlm", "vtc", "vtm", "features"}
    assert set(result["evaluators"]["spread"]) == {"alignment", "uniformity"}
    assert experiment.pretrain_dir is not None
    weights = load_file(experiment.pretrain_dir / "weights.safetensors")
    assert weights["objective_features.head.weight"].shape == (3 * 9, CONFIG.model.decoder_width)
    again = Experiment(override(experiment.config, {"pretrain.grey": 0.4}), "tiny", tmp_path)
    assert again.pretrain_id != experiment.pretrain_id


def test_masked_features_are_histograms_of_gradients() -> None:
    module = runpy.run_path(str(EXAMPLES / "masked_features.py"))
    random = np.random.default_rng(0)
    model, side, frames = CONFIG.model, CONFIG.model.patch, CONFIG.model.tube_frames
    tubes = random.integers(0, 256, (2, 3, 3, frames, side, side), dtype=np.uint8)
    expected = np.zeros((2, 3, 3, 9))
    for clip, tube, colour in np.ndindex(2, 3, 3):
        for frame in tubes[clip, tube, colour].astype(float) / 255:
            for row, column in np.ndindex(side - 1, side - 1):
                down = frame[row + 1, column] - frame[row, column]
                right = frame[row, column + 1] - frame[row, column]
                angle = np.degrees(np.arctan2(down, right)) % 180
                expected[clip, tube, colour, min(int(angle // 20), 8)] += np.hypot(down, right)
        expected[clip, tube, colour] /= np.linalg.norm(expected[clip, tube, colour])
    actual = module["histograms"](torch.from_numpy(tubes.reshape(2, 3, -1)), model, 9)
    assert actual.shape == (2, 3, 27)
    np.testing.assert_allclose(actual.unflatten(2, (3, 9)).numpy(), expected, atol=2e-3)


def test_masked_features_cost_what_a_decoder_of_their_size_costs() -> None:
    example("masked_features")
    alone = {f"objective.{name}": 0 for name in ("mlm", "vtc", "vtm")}
    pixels = pretrain_gflop(override(CONFIG, alone))
    features = pretrain_gflop(override(CONFIG, {**alone, "objective.mvm": 0, "objective.features": 1}))
    model = CONFIG.model
    masked = 4 * int(0.9 * 36)  # slots of cells
    less = 2 * masked * model.decoder_width * (model.tube_frames * model.patch**2 * 3 - 3 * 9)
    assert pixels - features == pytest.approx(3 * less * CONFIG.pretrain.batch / 1e9)


def test_the_border_is_masked_first() -> None:
    example("border_mask")
    mask = dataclasses.replace(CONFIG.mask, kind="border", video=20 / 36)
    drawn = draw_video_mask(4, CONFIG.model, mask, torch.Generator().manual_seed(0))
    cells = drawn.masked % 36
    ring = sorted(cell for cell in range(36) if {0, 5} & {cell // 6, cell % 6})  # 20 of 6 x 6 cells
    assert drawn.masked.shape == (4, 4 * 20)
    assert all(sorted(row.tolist()) == sorted(ring * 4) for row in cells)
    assert drawn.visible.shape == (4, 4 * 16)


@pytest.mark.usefixtures("corpus_cache")
def test_a_folder_of_pairs_is_a_corpus(tmp_path: Path) -> None:
    example("folder_corpus")
    for split in ("train", "val", "test"):
        (tmp_path / split).mkdir()
        for sample in load(CORPUS, split).samples[:3]:
            shutil.copy(sample.path, tmp_path / split / f"{sample.video_id}{sample.path.suffix}")
            (tmp_path / split / f"{sample.video_id}.txt").write_text("\n".join([*sample.captions, ""]))
    ending = next((tmp_path / "train").glob("*.[!t]*")).suffix[1:]
    spec = f"pairs:{tmp_path}?ending={ending}"
    corpus, original = load(spec, "test"), load(CORPUS, "test").samples[:3]
    assert {s.video_id: s.captions for s in corpus.samples} == {s.video_id: s.captions for s in original}
    assert read_records(spec, "pretrain") == read_records(spec, "train")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[CLS]\n[SEP]\n[MASK]\n[UNK]\n")
    changes = {"data.finetune": spec, "data.pretrain": spec, "data.tokenizer": "corpus"}
    config = resolved(override(CONFIG, changes))
    assert config.data.finetune.startswith(f"{spec}#")
    assert config.plugins.startswith("corpus.pairs=")
    digest = registry.EXTENSIONS["corpus.pairs"].plugin.digest
    other = override(config, {"plugins": ""})
    assert pretrain_id(other) == pretrain_id(config)  # what a reader gives is digested, not its code
    assert digest in other.plugins
    shutil.rmtree(tmp_path / "val")
    with pytest.raises(DataError, match="has no split val"):
        load(spec, "val")


def test_grey_clips_have_the_light_of_their_colours() -> None:
    example("grey_augmentation")
    config = override(CONFIG, {"finetune.grey": 0.5})
    clip = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    made = [augmentation_of(config, "finetune")(clip, (), 0, 0, index) for index in range(400)]
    changed = [one for one in made if not np.array_equal(one, clip)]
    assert 150 < len(changed) < 250
    red, green, blue = clip[..., 0].astype(float), clip[..., 1].astype(float), clip[..., 2].astype(float)
    np.testing.assert_array_equal(changed[0][..., 1], np.round(0.299 * red + 0.587 * green + 0.114 * blue))
    assert augmentation_of(config, "pretrain").is_identity


def test_alignment_and_uniformity_of_features_that_are_known() -> None:
    example("spread_evaluator")
    config = override(CONFIG, {"evaluate.spread": True})
    videos = np.array([[1.0, 0.0], [0.0, 1.0]])
    gallery = EncodedGallery(config, videos, videos.copy(), (0, 1), (), frozenset())
    actual = evaluated(gallery)["spread"]
    assert actual["alignment"] == 0.0
    # of six pairs of four features, two are at distance 0 and four at squared distance 2
    assert actual["uniformity"] == pytest.approx(np.log((2 + 4 * np.exp(-4)) / 6))


def test_the_study_is_planned_by_its_path(tmp_path: Path) -> None:
    line = [
        sys.executable,
        "sweeps/run.py",
        "examples/masked_features_study.py",
        "--dry-run",
        "--results",
        str(tmp_path),
    ]
    known = subprocess.run([*line, "--plugin", "examples/masked_features.py"], cwd=EXAMPLES.parent, capture_output=True,
                           text=True, check=False)  # fmt: skip
    assert "4 asked for, 4 different; 0 cached, 4 would start with 4 pre-trainings" in known.stdout, known.stderr
    unknown = subprocess.run(line, cwd=EXAMPLES.parent, capture_output=True, text=True, check=False)
    assert unknown.returncode == 2
    assert "'objective.features'" in unknown.stderr
    assert "--plugin" in unknown.stderr
