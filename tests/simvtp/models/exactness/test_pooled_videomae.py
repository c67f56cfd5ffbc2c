"""A VideoMAE that averages tokens before its norm is another encoder than this model's."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from simvtp.errors import ConfigError
from simvtp.models.pretrained_weights import read_pretrained
from tests.simvtp.models.exactness.videomae_twins import config, twins


def test_an_encoder_that_pools_before_its_norm_is_refused(tmp_path: Path) -> None:
    """transformers leaves the encoder's norm out where use_mean_pooling is true, which is its default."""
    made = config("small")
    _, theirs = twins(made)
    classifier: Any = transformers.VideoMAEForVideoClassification(
        transformers.VideoMAEConfig(**(theirs.config.to_dict() | {"use_mean_pooling": True}))  # type: ignore[operator, union-attr]
    )
    classifier.save_pretrained(tmp_path / "classifier")
    with pytest.raises(ConfigError, match=r"classifier has no norm behind its last layer .*use_mean_pooling=false"):
        read_pretrained(str(tmp_path / "classifier"), made.model)
    theirs.save_pretrained(tmp_path / "said")  # type: ignore[operator]
    settings = json.loads((tmp_path / "said" / "config.json").read_text())
    assert settings["use_mean_pooling"] is False
    (tmp_path / "said" / "config.json").write_text(json.dumps(settings | {"use_mean_pooling": True}))
    with pytest.raises(ConfigError, match="said has no norm behind its last layer"):
        read_pretrained(str(tmp_path / "said"), made.model)
