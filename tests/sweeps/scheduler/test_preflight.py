"""What would fail in every job is said before any is submitted."""

from __future__ import annotations

import json
from collections import namedtuple
from pathlib import Path

import pytest

from simvtp.config.presets import preset
from simvtp.config.run_id import FILES
from simvtp.config.schema import override
from simvtp.errors import ConfigError
from sweeps.executors.debug import Debug
from sweeps.plan import Plan, make_plan
from sweeps.scheduler import preflight
from sweeps.state.run_states import RunRegistry

Usage = namedtuple("Usage", "total used free")
WORDS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "a", "cat"]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A list of 40 videos in each split, and its vocabulary; videos are empty files."""
    lines = ["video,caption,split"]
    for split in ("train", "val", "test"):
        for number in range(40):
            name = f"{split}{number}.mp4"
            (tmp_path / name).touch()
            lines.append(f"{name},a cat,{split}")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return tmp_path


def changes(corpus: Path, **more: object) -> dict[str, object]:
    spec = f"csv:{corpus / 'list.csv'}"
    return {"data.pretrain": spec, "data.finetune": spec, "data.tokenizer": "corpus", "pretrain.batch": 8,
            "finetune.batch": 8, **{key.replace("__", "."): value for key, value in more.items()}}  # fmt: skip


def check(settings: dict[str, object], results: Path) -> Plan:
    preflight._videos.cache_clear()
    preflight._check_tokenizer.cache_clear()
    preflight._check_weights.cache_clear()
    named = {key: settings[key] for key in FILES & settings.keys() if not str(settings[key]).startswith("sprites:")}
    pinned = {key: f"{value}#{'0' * 16}" for key, value in named.items()}  # as a command does, with other digests
    plan = make_plan("finetune_lr", "tiny", override(preset("tiny"), {**settings, **pinned}), (0,))
    registry = RunRegistry(results)
    preflight.check(plan, list(plan.runs.values()), registry, Debug(registry, "tiny"))
    return plan


def test_what_can_run_passes_and_nothing_is_written(corpus: Path, tmp_path: Path) -> None:
    check(changes(corpus), tmp_path / "results")
    check({}, tmp_path / "results")  # the embedded corpus, which need not be there yet
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"data__pretrain": "webvid:/nope"}, "/nope does not exist"),
        ({"data__finetune": "csv:/nope/list.csv"}, "/nope/list.csv"),
        ({"data__pretrain": "sprites:tinny"}, "tiny"),
        ({"pretrain__batch": 41}, "pretrain.batch: 41 is more than the 40 videos"),
        ({"finetune__batch": 64}, "finetune.batch: 64 is more than the 40 videos"),
        ({"pretrain__batch": 24, "data__fraction": 0.25}, "data.fraction 0.25 of 40"),
        ({"data__tokenizer": "/nope/vocab.txt"}, "data.tokenizer: '/nope/vocab.txt'"),
    ],
)
def test_a_problem_is_one_paragraph(more: dict[str, object], message: str, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check(changes(corpus, **more), tmp_path / "results")
    first, *problems = str(caught.value).splitlines()
    assert first == "nothing was started:"
    assert len(problems) == 1
    assert message in problems[0]


def test_every_problem_is_said_at_once(corpus: Path, tmp_path: Path) -> None:
    wrong = changes(corpus, finetune__batch=64, machine__device="cuda", data__pretrain="webvid:/nope")
    with pytest.raises(ConfigError) as caught:
        check({**wrong, "data.tokenizer": str(corpus / "vocab.txt")}, tmp_path / "results")
    assert len(str(caught.value).splitlines()) == 4


def test_missing_videos_are_found(corpus: Path, tmp_path: Path) -> None:
    (corpus / "test7.mp4").unlink()
    with pytest.raises(ConfigError, match=r"test7\.mp4"):
        check(changes(corpus), tmp_path / "results")
    for path in corpus.glob("train*.mp4"):
        path.unlink()
    with pytest.raises(ConfigError, match="none of 40 videos is there"):
        check(changes(corpus), tmp_path / "results")


def test_a_vocabulary_without_special_words_is_refused(corpus: Path, tmp_path: Path) -> None:
    (corpus / "vocab.txt").write_text("a\ncat\n")
    with pytest.raises(ConfigError, match=r"must be a vocab\.txt"):
        check(changes(corpus), tmp_path / "results")


@pytest.mark.parametrize("cut", [0, 3, 30, 90])
def test_damaged_weights_are_refused(cut: int, corpus: Path, tmp_path: Path) -> None:
    header = json.dumps({"x": {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]}}).encode()
    whole = len(header).to_bytes(8, "little") + header + bytes(32)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(whole)
    check(changes(corpus, model__init=str(path)), tmp_path / "results")
    path.write_bytes(whole[:cut] if cut else (100_000).to_bytes(8, "little") + b"[" * 100_001)
    with pytest.raises(ConfigError, match=r"model\.init"):
        check(changes(corpus, model__init=str(path)), tmp_path / "results")


def test_a_full_disk_is_said(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(0, 0, 2**20))
    with pytest.raises(ConfigError, match="make room"):
        check(changes(corpus), tmp_path / "results")
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(0, 0, 600 * 2**20))
    check(changes(corpus), tmp_path / "results")
    plan = make_plan("finetune_lr", "tiny", preset("tiny"), tuple(range(20)))
    registry = RunRegistry(tmp_path / "results")
    preflight.check(plan, list(plan.runs.values()), registry, Debug(registry, "tiny"))
    assert "jobs wait when the disk is full" in caplog.text
