"""Several captions a video: as queries of their own, or joined to a paragraph; each encoded once."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from analysis.runs.schema import read_run
from simvtp.config.experiment import Experiment
from simvtp.config.schema import override
from simvtp.data.resolve import resolved
from simvtp.errors import DataError
from simvtp.evaluate import show
from simvtp.models.dual_encoder import DualEncoder
from simvtp.run import run
from tests.simvtp.evaluation.film_corpus import film_corpus
from tests.small_config import CONFIG


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of a run on files: 8 videos with 3 captions each, trained and tested on the same ones."""
    return film_corpus(tmp_path_factory.mktemp("corpus"))


def outcome(corpus: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[int]]:
    """The result of a run, and how many texts each call in its evaluation encoded."""
    encoded: list[int] = []
    inner = DualEncoder.encode_text

    def counted(self: DualEncoder, words: Tensor, present: Tensor) -> Tensor:
        if not self.training:
            encoded.append(len(words))
        return inner(self, words, present)

    monkeypatch.setattr(DualEncoder, "encode_text", counted)
    path = run(Experiment(resolved(override(CONFIG, corpus)), "tiny", folder))
    return json.loads(path.read_text()), encoded


def test_captions_are_queries_of_their_own(
    corpus: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, encoded = outcome(corpus, tmp_path, monkeypatch)
    for split in ("test", "test_dual_softmax", "validation"):
        actual = result["metrics"][split]
        assert (actual["text_to_video"]["queries"], actual["text_to_video"]["gallery"]) == (24, 8), split
        assert (actual["video_to_text"]["queries"], actual["video_to_text"]["gallery"]) == (8, 24), split
    assert result["owners"] == np.repeat(range(8), 3).tolist()
    assert sum(encoded) == 24 + 24  # of the one validation and of the test: never twice, whatever is scored with them

    read = read_run(tmp_path / "runs" / result["run"] / "result.json")
    assert read.hits().shape == (8,)
    assert read.hits().mean() == pytest.approx(result["metrics"]["test"]["text_to_video"]["R@1"], abs=1e-4)
    table = show(result)
    assert [column.header for column in table.columns][2:4] == ["R@1", "95%"]
    cells = list(table.columns[3].cells)
    assert cells[0].startswith("[")


def test_a_video_that_is_not_there_counts_as_a_miss(
    corpus: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = outcome({**corpus, "evaluate.dual_softmax": "off"}, tmp_path / "whole", monkeypatch)
    shutil.copytree(Path(corpus["data.tokenizer"]).parent, tmp_path / "copy")
    (tmp_path / "copy" / "test2.mp4").unlink()
    (tmp_path / "copy" / "test5.mp4").write_text("<html>404</html>")
    table = f"csv:{tmp_path}/copy/clips.csv"
    changes = {**corpus, "data.finetune": table, "data.pretrain": table}
    with pytest.raises(DataError, match=r"1 of 8 videos are missing: .*test2.mp4.*data.missing=miss"):
        run(Experiment(resolved(override(CONFIG, changes)), "tiny", tmp_path))
    allowed = {**changes, "data.missing": "miss", "evaluate.dual_softmax": "off"}
    result, _ = outcome(allowed, tmp_path, monkeypatch)
    assert result["missed"] == ["test2.mp4", "test5.mp4"]
    assert result["corpus"]["test"] == whole["corpus"]["test"]  # the same queries: figures compare
    actual, before = result["ranks"]["test"], whole["ranks"]["test"]
    for direction, last in (("text_to_video", 8), ("video_to_text", 24)):
        gone = [2, 5] if direction == "video_to_text" else [6, 7, 8, 15, 16, 17]
        assert [actual[direction][index] for index in gone] == [last] * len(gone)
        kept = [index for index in range(len(actual[direction])) if index not in gone]
        assert all(actual[direction][index] <= before[direction][index] for index in kept)
    assert [actual["video_to_text"][k] for k in (0, 1, 3, 4, 6, 7)] == [
        before["video_to_text"][k] for k in (0, 1, 3, 4, 6, 7)
    ]
    metrics = result["metrics"]["test"]["text_to_video"]
    assert (metrics["queries"], metrics["gallery"]) == (24, 8)
    assert metrics["R@1"] == pytest.approx(100 * np.mean(np.array(actual["text_to_video"]) <= 1))


def test_a_paragraph_is_one_query_a_video(
    corpus: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, encoded = outcome({**corpus, "data.queries": "paragraph"}, tmp_path, monkeypatch)
    for direction in ("text_to_video", "video_to_text"):
        actual = result["metrics"]["test"][direction]
        assert (actual["queries"], actual["gallery"]) == (8, 8)
    assert "owners" not in result
    assert sum(encoded) == 8 + 8
