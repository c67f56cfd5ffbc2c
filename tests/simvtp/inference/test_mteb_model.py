"""What MTEB asks of a model, with MTEB where it is installed; its retrieval against ours."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from simvtp import SimVTP
from simvtp.data.video.video import Video
from simvtp.evaluation.metrics import both_directions
from simvtp.inference.mteb_model import MTEBModel
from tests.simvtp.films import film

TEXTS = ["a red star", "star moves left", "left", "a star", "red red left"]


class Decoder:
    """A video as torchcodec opens it."""

    def __init__(self, path: Path) -> None:
        self.video = Video(path)

    def __len__(self) -> int:
        return self.video.frame_count

    def get_frames_at(self, indices: list[int]) -> SimpleNamespace:
        return SimpleNamespace(data=torch.from_numpy(self.video.frames(indices)).permute(0, 3, 1, 2))


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    return [film(tmp_path / f"{number}.mp4", number) for number in range(5)]


def test_batches_of_videos_and_texts_are_encoded_as_the_model_does(retriever: SimVTP, clips: list[Path]) -> None:
    model = MTEBModel(retriever)
    videos, texts = retriever.encode_video(clips), retriever.encode_text(TEXTS)
    whole = [torch.from_numpy(Video(clip).frames(range(10))).permute(0, 3, 1, 2) for clip in clips]
    for shown in (clips, [Decoder(clip) for clip in clips], whole):
        actual = model.encode(DataLoader([{"video": video} for video in shown], batch_size=2), task_metadata=None)
        assert np.allclose(actual, videos.numpy(), atol=1e-5)
    actual = model.encode(DataLoader([{"text": text, "id": "x"} for text in TEXTS], batch_size=2), hf_split="test")
    assert np.allclose(actual, texts.numpy(), atol=1e-6)
    both = [{"video": clip, "text": text} for clip, text in zip(clips, TEXTS, strict=True)]
    fused = torch.from_numpy(model.encode(DataLoader(both, batch_size=5)))
    assert torch.allclose(fused, torch.nn.functional.normalize(videos + texts), atol=1e-5)
    assert torch.allclose(model.similarity(texts, 3 * videos.numpy()), texts @ videos.T, atol=1e-5)
    assert torch.allclose(model.similarity_pairwise(texts, videos), (texts * videos).sum(1), atol=1e-5)
    with pytest.raises(ValueError, match="MTEB gives image"):
        model.encode(DataLoader([{"image": 1}]))


def test_retrieval_in_mteb_gives_our_figures(retriever: SimVTP, clips: list[Path]) -> None:
    mteb = pytest.importorskip("mteb", reason="MTEB is not installed (pip install 'simvtp[mteb]')")
    datasets = pytest.importorskip("datasets")
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.models.models_protocols import EncoderProtocol
    from mteb.tasks.retrieval.eng.msr_vtt import MSRVTTT2V

    names = [str(number) for number in range(5)]

    def dataset(columns: dict[str, list[str]], name: str) -> Any:
        return datasets.Dataset(datasets.table.InMemoryTable.from_pydict(columns), fingerprint=name)

    class Films(MSRVTTT2V):  # type: ignore[misc]
        metadata = MSRVTTT2V.metadata.model_copy(update={"name": "Films", "prompt": None})

        def load_data(self, *_: Any, **__: Any) -> None:
            queries = dataset({"id": names, "text": TEXTS}, "queries")
            corpus = dataset({"id": names, "video": [str(clip) for clip in clips]}, "corpus")
            relevant = {name: {name: 1} for name in names}
            self.dataset = {
                "default": {
                    "test": RetrievalSplitData(queries=queries, corpus=corpus, relevant_docs=relevant, top_ranked=None)
                }
            }
            self.data_loaded = True

    model = MTEBModel(retriever)
    assert isinstance(model, EncoderProtocol)
    actual = mteb.evaluate(model, Films(), cache=None).task_results[0].scores["test"][0]
    ours = both_directions(retriever.encode_video(clips), retriever.encode_text(TEXTS), range(5)).metrics
    assert 100 * actual["recall_at_1"] == pytest.approx(ours["text_to_video"]["R@1"], abs=1e-3)
    assert 100 * actual["recall_at_3"] == pytest.approx(
        100 * np.mean(np.array(_ranks(retriever, clips)) <= 3), abs=1e-3
    )


def _ranks(retriever: SimVTP, clips: list[Path]) -> list[int]:
    scores = retriever.encode_text(TEXTS) @ retriever.encode_video(clips).T
    return [1 + int((row > row[place]).sum()) for place, row in enumerate(scores)]
