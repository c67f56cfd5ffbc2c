"""Re-ranking of the best candidates by the pre-trained matching head (as in ALBEF, Li et al. 2021, section 3.4).

Fine-tuning leaves two encoders and no matching head, so the candidates come from the fine-tuned encoders, and the
judge is the pre-trained model: its joint pass over all tubes and all words, nothing masked, and its matching head.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from simvtp.config.schema import Config
from simvtp.data.gallery_loader import GalleryLoader
from simvtp.data.tokenizer import pad_batch
from simvtp.distributed.process_group import filled, share
from simvtp.evaluation.encode import inference
from simvtp.evaluation.metrics import Floats
from simvtp.models.embeddings import cut_tubes
from simvtp.models.objectives import pair
from simvtp.models.simvtp import SimVTPModel
from simvtp.models.transformer import Group
from simvtp.runtime.heartbeat import beat

PAIRS = 64  # at once


def candidates(similarity: Floats, k: int) -> npt.NDArray[np.bool_]:
    """The pairs to judge, bool [captions, videos]: the best k videos of each caption and the best k captions of each
    video."""
    best_videos, best_captions = (np.zeros(similarity.shape, bool) for _ in range(2))
    np.put_along_axis(best_videos, _top(similarity, k, axis=1), True, axis=1)
    np.put_along_axis(best_captions, _top(similarity, k, axis=0), True, axis=0)
    return best_videos | best_captions


def _top(similarity: Floats, k: int, axis: int) -> npt.NDArray[np.intp]:
    best = np.argsort(-similarity, axis=axis, kind="stable")
    return best[:, :k] if axis == 1 else best[:k]


def matching(
    model: SimVTPModel,
    loader: GalleryLoader,
    chosen: npt.NDArray[np.bool_],
    config: Config,
    device: torch.device,
) -> Floats:
    """The chance, in [0, 1], that a pair belongs together; float [captions, videos], 0 for pairs that are not `chosen`.

    chosen: bool [captions, videos].

    Averaged over the views of a video. Each video is decoded once, by one of the processes.
    """
    own, captions = share(len(loader.corpus.samples)), loader.captions()
    found, video = torch.zeros(chosen.shape[1], chosen.shape[0]), own.start
    with inference(model, config, device):
        for clips in loader.videos(own):
            for views in clips:
                queries = np.flatnonzero(chosen[:, video]).tolist()
                tubes = model.tubes(cut_tubes(views.to(device), config.model))
                for first in range(0, len(queries), PAIRS):
                    part = queries[first : first + PAIRS]
                    words = pad_batch([captions[query] for query in part], loader.tokenizer.pad).to(device)
                    found[video, part] = _judge(model, config, tubes, words, words != loader.tokenizer.pad).cpu()
                    beat()
                video += 1
    return filled(found).double().numpy().T


def _judge(model: SimVTPModel, config: Config, tubes: Tensor, words: Tensor, present: Tensor) -> Tensor:
    """Tubes of the views of one video, [V, N, D], and captions [Q, L] -> [Q]."""
    assert model.matching_head is not None
    text = Group(model.words(words), present)
    chances = []
    for view in tubes:
        (joint,) = model.encode([pair(view.expand(len(words), -1, -1), text)])
        chances.append(functional.softmax(model.matching_head(joint.mean(config.model.text_mean)).float(), dim=1)[:, 1])
    return torch.stack(chances).mean(dim=0)


def reranked(similarity: Floats, chances: Floats, k: int, axis: int) -> Floats:
    """Similarities with the best k along `axis` (1: of each caption, 0: of each video) put in the order of `chances`.

    What is not among the best k stays behind them, in its own order.
    """
    scores = similarity.copy()
    best = _top(similarity, k, axis)
    above = similarity.max() + 1
    np.put_along_axis(scores, best, above + np.take_along_axis(chances, best, axis), axis)
    return scores
