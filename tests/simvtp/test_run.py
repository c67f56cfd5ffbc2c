"""A whole run on a very small corpus."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from simvtp.config.experiment import Experiment
from simvtp.config.presets import preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import override
from simvtp.data.from_config import retrieval_corpus
from simvtp.data.gallery_loader import GalleryLoader
from simvtp.errors import ConfigError
from simvtp.evaluate import evaluate
from simvtp.finetune import finetune
from simvtp.pretrain import pretrain
from simvtp.run import run


def test_a_run_is_written_whole_is_idempotent_and_repeats_itself(quick: dict[str, str], tmp_path: Path) -> None:
    config = override(preset("tiny"), quick)
    path = run(Experiment(config, "tiny", tmp_path / "a"))
    result = json.loads(path.read_text())
    assert path == tmp_path / "a" / "runs" / run_id(config) / "result.json"
    assert (result["version"], result["run"], result["pretrain"]) == (1, run_id(config), pretrain_id(config))
    assert set(result["metrics"]) == {"test", "test_last_epoch", "test_seen", "validation"}
    assert set(result["controls"]) == {"frozen_frames", "shuffled_frames"}
    test = result["metrics"]["test"]["text_to_video"]
    assert (test["queries"], test["gallery"]) == (16, 16)
    ranks = result["ranks"]["test"]["text_to_video"]
    assert test["R@1"] == pytest.approx(100 * sum(rank <= 1 for rank in ranks) / 16)
    assert set(result["losses"]) == {"mvm", "mlm", "vtc", "vtm"}
    assert result["epochs"] == 4.0
    assert result["epoch"] in (2.0, 4.0)
    assert not list((tmp_path / "a").rglob("step-*.pt"))
    assert not list((tmp_path / "a").rglob("lock*"))

    written = path.stat().st_mtime_ns
    assert run(Experiment(config, "tiny", tmp_path / "a")) == path
    assert path.stat().st_mtime_ns == written

    again = json.loads(run(Experiment(config, "tiny", tmp_path / "b")).read_text())
    for part in ("metrics", "controls", "ranks", "epoch", "losses"):
        assert again[part] == result[part], part


def test_without_pretraining_there_is_no_stage(quick: dict[str, str], tmp_path: Path) -> None:
    result = json.loads(
        run(Experiment(override(preset("tiny"), {**quick, "pretrain.length": "0 steps"}), "tiny", tmp_path)).read_text()
    )
    assert result["pretrain"] is None
    assert result["losses"] == {}
    assert not (tmp_path / "pretrained").exists()


def test_finetuning_does_not_look_at_the_test_gallery(
    quick: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    inner = GalleryLoader.__init__

    def watch(self: GalleryLoader, corpus: object, *rest: object, **named: object) -> None:
        seen.append(corpus.split)  # type: ignore[attr-defined]
        inner(self, corpus, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(GalleryLoader, "__init__", watch)
    config = override(preset("tiny"), quick)
    pretrain(Experiment(config, "tiny", tmp_path))
    finetune(Experiment(config, "tiny", tmp_path))
    assert seen == ["val"]  # trap: the epoch chosen by the test gallery
    evaluate(Experiment(config, "tiny", tmp_path))
    assert "val" not in seen[1:]
    assert {"test", "test_seen"} < set(seen)


def test_a_stage_that_is_missing_is_named(quick: dict[str, str], tmp_path: Path) -> None:
    config = override(preset("tiny"), quick)
    with pytest.raises(ConfigError, match=r"python -m simvtp\.pretrain"):
        finetune(Experiment(config, "tiny", tmp_path))
    with pytest.raises(ConfigError, match=r"python -m simvtp\.finetune"):
        evaluate(Experiment(config, "tiny", tmp_path))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "mask.vide=1"], "did you mean 'mask.video'"),
        (["--preset", "tiney"], "did you mean 'tiny'"),
        (["--set", "data.pretrain=webvid:nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_a_paragraph_and_exit_code_2(words: list[str], message: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "simvtp.run", *words, "--results", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_zero_shot_with_every_column_and_each_video_decoded_once(
    quick: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"finetune.length": "0 steps", "evaluate.dual_softmax": "true", "evaluate.rerank": "3"}
    config = override(preset("tiny"), {**quick, **settings})
    decoded: list[tuple[str, int]] = []
    read = GalleryLoader._views

    def count(self: GalleryLoader, index: int) -> object:
        decoded.append((self.corpus.split, index))
        return read(self, index)

    monkeypatch.setattr(GalleryLoader, "_views", count)
    monkeypatch.setattr("simvtp.evaluate.yardsticks", lambda *_: {})  # they read clips for themselves
    result = json.loads(run(Experiment(config, "tiny", tmp_path)).read_text())
    columns = {"test", "test_last_epoch", "test_dual_softmax", "test_reranked_3", "test_seen", "validation"}
    assert set(result["metrics"]) == columns
    assert result["metrics"]["test"] == result["metrics"]["test_last_epoch"]
    assert (result["epoch"], result["epochs"]) == (0.0, 0.0)
    for split, times in (("val", 1), ("test", 2), ("test_seen", 1)):  # the judge of candidates needs the test once more
        actual = [index for name, index in decoded if name == split]
        assert sorted(actual) == sorted(list(range(len(set(actual)))) * times), split


def test_rerank_needs_a_matching_head(quick: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"evaluate\.rerank: candidates are judged by the matching head"):
        override(preset("tiny"), {**quick, "evaluate.rerank": "5", "objective.vtm": "off"})


def test_paragraphs_join_the_captions_of_a_video(quick: dict[str, str]) -> None:
    plain = override(preset("tiny"), quick)
    joined = override(preset("tiny"), {**quick, "data.queries": "paragraph"})
    assert run_id(plain) != run_id(joined)
    assert pretrain_id(plain) == pretrain_id(joined)
    before, after = retrieval_corpus(plain, "train").samples[0], retrieval_corpus(joined, "train").samples[0]
    assert len(before.captions) == 5
    assert after.captions == (" ".join(before.captions),)
