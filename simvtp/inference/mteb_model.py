"""SimVTP in MTEB's video benchmarks (https://github.com/embeddings-benchmark/mteb; `pip install mteb[video]`).

    import mteb
    from simvtp import SimVTP
    from simvtp.inference.mteb_model import MTEBModel

    model = MTEBModel(SimVTP.from_pretrained("model folder"), "my-group/simvtp-base")
    mteb.evaluate(model, mteb.get_tasks(["MSRVTTT2V"]))

MTEB asks for `encode`, `similarity`, `similarity_pairwise` and `mteb_model_meta` (its EncoderProtocol), and nothing
here needs MTEB but the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from simvtp.data.video.frames import Frames
from simvtp.inference.retriever import FrameSource, SimVTP


class MTEBModel:
    """Encodes what MTEB hands out: texts, videos, or both of one item, whose vectors are then averaged.

    model: the trained model. name: for MTEB's tables, "organisation/model". revision: of the weights, for its results.
    """

    def __init__(self, model: SimVTP, name: str = "simvtp/simvtp", revision: str = "local") -> None:
        self.model, self.name, self.revision = model, name, revision

    @property
    def mteb_model_meta(self) -> Any:
        """An `mteb.models.ModelMeta` with the name, revision and sizes; raises ImportError without MTEB."""
        from mteb.models.model_meta import ModelMeta, ScoringFunction

        config = self.model.config.model
        facts = {
            "name": self.name, "revision": self.revision, "modalities": ["video", "text"], "languages": ["eng-Latn"],
            "max_tokens": config.words, "embed_dim": config.width, "similarity_fn_name": ScoringFunction.COSINE,
            "n_parameters": sum(weight.numel() for weight in self.model.encoder.parameters()),
        }  # fmt: skip
        return ModelMeta.create_empty(overwrites=facts)

    def encode(self, inputs: Any, **task: Any) -> NDArray[np.float32]:  # noqa: ARG002
        """Unit vectors [N, D] of the N items of a DataLoader, in its order.

        inputs: gives batches {"text": [...], "video": [...]}, one of these or both; a video is a torchcodec decoder, a
        tensor uint8 [T, 3, H, W], or a path. task: task_metadata, hf_split and more, which change nothing here. Raises
        ValueError for items with neither text nor video.
        """
        if hasattr(inputs, "collate_fn"):
            inputs.collate_fn = _columns
        encoded = [self._encode(batch) for batch in inputs]
        whole = torch.cat(encoded) if encoded else torch.zeros(0, self.model.config.model.width)
        vectors: NDArray[np.float32] = whole.numpy()
        return vectors

    def similarity(self, embeddings1: ArrayLike | Tensor, embeddings2: ArrayLike | Tensor) -> Tensor:
        """Cosines, float [N, M]."""
        return _unit(embeddings1) @ _unit(embeddings2).T

    def similarity_pairwise(self, embeddings1: ArrayLike | Tensor, embeddings2: ArrayLike | Tensor) -> Tensor:
        """Cosines of corresponding rows, float [N]."""
        return (_unit(embeddings1) * _unit(embeddings2)).sum(dim=-1)

    def _encode(self, batch: Mapping[str, Sequence[Any]]) -> Tensor:
        vectors = []
        if "video" in batch:
            vectors.append(self.model.encode_video([_opened(video) for video in batch["video"]]))
        if "text" in batch:
            vectors.append(self.model.encode_text(list(batch["text"])))
        if not vectors:
            raise ValueError(f"SimVTP encodes videos and texts; MTEB gives {', '.join(batch) or 'nothing'}")
        return functional.normalize(torch.stack(vectors).mean(dim=0), dim=-1)


class _Decoded:
    """Frames of a torchcodec decoder, or of a tensor uint8 [T, 3, H, W]."""

    def __init__(self, video: Any) -> None:
        self._video = video
        self.frame_count = len(video)

    def frames(self, indices: Sequence[int], short_side: int | None = None) -> Frames:  # noqa: ARG002
        """uint8 [T, H, W, 3], RGB, in the order of `indices`, at the size that they have."""
        rows = list(indices)
        chosen = self._video[rows] if isinstance(self._video, Tensor) else self._video.get_frames_at(rows).data
        pixels: Frames = chosen.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return pixels


def _opened(video: Any) -> str | Path | FrameSource:
    return video if isinstance(video, str | Path) else _Decoded(video)


def _columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """[{"video": ...}, ...] -> {"video": [...]}: videos differ in length, so nothing is stacked."""
    listed = list(rows)
    return {name: [row[name] for row in listed] for name in listed[0]}


def _unit(vectors: ArrayLike | Tensor) -> Tensor:
    return functional.normalize(torch.as_tensor(vectors).float(), dim=-1)
