"""A published model, used through its folder, ranks the test gallery as the run that made it did."""

import json
from pathlib import Path

import numpy as np
import pytest

from simvtp import SimVTP
from simvtp.config.experiment import Experiment
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.data.from_config import retrieval_corpus
from simvtp.evaluation.metrics import matrix_ranks
from simvtp.run import run

ZERO_SHOT = {"finetune.length": "0 steps", "finetune.warmup": "0 steps"}


@pytest.mark.parametrize(
    ("changes", "of_stage"),
    [({}, False), ({"model.towers": "shared"}, False), (ZERO_SHOT, False), (ZERO_SHOT, True)],
    ids=["separate", "shared", "zero-shot run", "pre-trained stage"],
)
def test_it_ranks_as_the_run_did(
    quick: dict[str, str], tmp_path: Path, changes: dict[str, str], of_stage: bool
) -> None:
    config = override(preset("tiny"), {**quick, **changes})
    path = run(Experiment(config, "tiny", tmp_path))
    stage = Experiment(config, "tiny", tmp_path).pretrain_dir
    assert stage is not None
    SimVTP.from_run(stage if of_stage else path.parent).save_pretrained(tmp_path / "model")
    model = SimVTP.from_pretrained(tmp_path / "model")
    corpus = retrieval_corpus(config, "test")
    files = [sample.path for sample in corpus.samples]
    texts = [caption for sample in corpus.samples for caption in sample.captions]
    owner = [video for video, sample in enumerate(corpus.samples) for _ in sample.captions]
    similarity = (model.encode_text(texts).double() @ model.encode_video(files).double().T).numpy()
    wanted = json.loads(path.read_text())["ranks"]["test"]["text_to_video"]
    assert np.abs(matrix_ranks(similarity, owner)[0] - wanted).max() <= 1  # rounding may swap two neighbours
